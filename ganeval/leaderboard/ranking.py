"""Which models differ: exact permutation tests over training seeds, Holm's correction, and ranges of ranks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import stdtrit

from ganeval.numerics.multiple import holm

ALPHA = 0.05
"""Level at which two models are told apart, after Holm's correction."""
MOST_SPLITS = 200_000
"""Ways to share out the seeds, up to which all are tried: ten against ten."""
RANDOM_SPLITS = 20_000
"""Of them that are tried where there are more."""


@dataclass(frozen=True)
class Summary:
    """Training seeds in four numbers; sd and interval (95%, Student's t) are None below two seeds."""

    n: int
    mean: float
    sd: float | None
    interval: tuple[float, float] | None


def summary(values: Sequence[float]) -> Summary | None:
    """Mean, sample sd (n - 1) and the interval mean +- t sd / sqrt(n) of the seeds; None without any.

    The interval takes the seeds as draws from a normal law: with few of them it is wide and rests on that.
    """
    n = len(values)
    if not n:
        return None
    mean = math.fsum(values) / n
    if n == 1:
        return Summary(n, mean, None, None)
    sd = math.sqrt(math.fsum((x - mean) ** 2 for x in values) / (n - 1))
    half = float(stdtrit(n - 1, 1 - ALPHA / 2)) * sd / math.sqrt(n)
    return Summary(n, mean, sd, (mean - half, mean + half))


def median(values: Sequence[float]) -> float:
    """The middle value, or the mean of the two middle ones: infinite where a failed seed reaches the middle."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


@lru_cache(maxsize=8)
def _splits(n_a: int, n_b: int) -> np.ndarray:
    """Rows of 0 and 1, (S, n_a + n_b), that say which values fall to the first group; row 0 is the observed split.

    All C(n_a + n_b, n_a) of them up to MOST_SPLITS (ten seeds against ten), else RANDOM_SPLITS from a fixed seed.
    """
    n = n_a + n_b
    if math.comb(n, n_a) <= MOST_SPLITS:
        first = np.array(list(itertools.combinations(range(n), n_a)))
        splits = np.zeros((len(first), n))
        np.put_along_axis(splits, first, 1, axis=1)
        return splits
    splits = (np.random.default_rng(0).random((RANDOM_SPLITS, n)).argsort(axis=1) < n_a).astype(float)
    splits[0] = np.arange(n) < n_a
    return splits


def permutation_p(a: Sequence[float], b: Sequence[float]) -> float:
    """Two-sided p of 'a and b come from one law', by the unpaired permutation test of the difference of means.

    p = min(1, 2 min(P(T <= t), P(T >= t))) over all splits of the pooled seeds, the observed one included, so
    p >= 2 / C(n_a + n_b, n_a): 0.1 for 3 against 3, 0.0079 for 5 against 5. A failed seed is +inf, and the test is
    the limit for a value that grows beyond every other: more failures are worse, and among splits with equally many
    the finite part decides. (T rises with the sum over a, so the sum stands for it.)
    """
    pooled = np.array([*a, *b], dtype=float)
    failed = np.isinf(pooled)
    finite = np.where(failed, 0.0, pooled)
    finite = np.where(failed, 0.0, finite - finite[~failed].mean()) if not failed.all() else finite
    splits = _splits(len(a), len(b))
    failures, sums = splits @ failed.astype(float), splits @ finite
    # Sums of the same numbers in another order differ in their last bits; they are ties all the same.
    slack = 1e-12 * np.abs(pooled[~failed]).sum()
    above = (failures > failures[0]) | ((failures == failures[0]) & (sums >= sums[0] - slack))
    below = (failures < failures[0]) | ((failures == failures[0]) & (sums <= sums[0] + slack))
    return min(1.0, 2 * min(float(above.mean()), float(below.mean())))


def smallest_p(n_a: int, n_b: int) -> float:
    """The least p that `permutation_p` can give for so many seeds."""
    splits = math.comb(n_a + n_b, n_a)
    return min(1.0, 2 / (splits if splits <= MOST_SPLITS else RANDOM_SPLITS))


def rank_ranges(seeds: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """(best, worst) rank of each model whose seeds are given, lower values better and +inf a failed seed.

    From 1 + the number of models that are significantly better to N - the number that are significantly worse, by
    `permutation_p` for every pair and Holm's correction over all pairs at ALPHA.
    """
    pairs = list(itertools.combinations(range(len(seeds)), 2))
    adjusted = holm([permutation_p(seeds[i], seeds[j]) for i, j in pairs])
    low, high = [1] * len(seeds), [len(seeds)] * len(seeds)
    for (i, j), p in zip(pairs, adjusted, strict=True):
        if p <= ALPHA:
            better, worse = (i, j) if _level(seeds[i]) < _level(seeds[j]) else (j, i)
            low[worse] += 1
            high[better] -= 1
    return list(zip(low, high, strict=True))


def _level(values: Sequence[float]) -> tuple[float, float]:
    """Orders groups of seeds as the mean does when a failed seed's value grows without bound."""
    finite = [x for x in values if not math.isinf(x)]
    return (len(values) - len(finite)) / len(values), math.fsum(finite) / len(values)


def power_note(sizes: Sequence[int]) -> str:
    """What so many seeds (one number a model) can show at all, in a sentence for the foot of the table."""
    if len(sizes) < 2:
        return "Nothing to rank: fewer than two trained models."
    pairs = len(sizes) * (len(sizes) - 1) // 2
    least = min(smallest_p(a, b) for a, b in itertools.combinations(sizes, 2))
    corrected = min(1.0, pairs * least)
    few, many = min(sizes), max(sizes)
    seeds = f"{few}" if few == many else f"{few} to {many}"
    start = f"With {seeds} seed{'' if many == 1 else 's'} a model the smallest p of one comparison is {least:.2g}"
    if pairs > 1:
        start += f", and {corrected:.2g} after Holm's correction over {pairs} comparisons"
    if corrected <= ALPHA:
        return f"{start}: large differences can be significant, small ones cannot."
    enough = next(k for k in itertools.count(2) if pairs * 2 / math.comb(2 * k, k) <= ALPHA)
    none = "no difference in this table can be significant, so all ranks tie"
    return f"{start}: {none}. With {enough} seeds each, a difference could be."
