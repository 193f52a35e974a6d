"""Permutation tests, Holm's correction and rank ranges against closed forms, scipy and hand-worked values."""

from __future__ import annotations

import itertools
import math
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from ganeval.leaderboard.ranking import (
    median,
    permutation_p,
    power_note,
    rank_ranges,
    smallest_p,
    summary,
)
from ganeval.numerics.multiple import holm

INF = math.inf


def difference(a: np.ndarray, b: np.ndarray, axis: int) -> np.ndarray:
    return a.mean(axis=axis) - b.mean(axis=axis)


@pytest.mark.parametrize("sizes", [(3, 3), (5, 5), (4, 6), (2, 7), (6, 6)])
@pytest.mark.parametrize("seed", range(4))
def test_p_is_that_of_scipy(sizes: tuple[int, int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=sizes[0]), rng.normal(0.7 * seed, 1, size=sizes[1])
    theirs = stats.permutation_test((a, b), difference, vectorized=True, n_resamples=np.inf, alternative="two-sided")
    assert permutation_p(a, b) == pytest.approx(theirs.pvalue, abs=1e-12)


@pytest.mark.parametrize(("k", "least"), [(3, 0.1), (4, 2 / 70), (5, 2 / 252), (6, 2 / 924), (10, 2 / 184_756)])
def test_the_least_p_of_k_against_k_seeds_is_2_over_the_splits(k: int, least: float) -> None:
    far = [100.0 + i for i in range(k)], [float(i) for i in range(k)]
    assert permutation_p(*far) == pytest.approx(least)
    assert smallest_p(k, k) == pytest.approx(least)


def test_equal_seeds_are_ties_whatever_their_last_bits() -> None:
    assert permutation_p([0.1] * 5, [0.1] * 5) == 1.0
    # 0.1 + 0.2 + 0.3 differs from 0.3 + 0.2 + 0.1 in the last bit; far from zero such bits are larger.
    shifted = [1e6 + x for x in (0.1, 0.2, 0.3)]
    assert permutation_p(shifted, shifted[::-1]) == 1.0


@pytest.mark.parametrize("seed", range(5))
def test_ties_are_those_of_exact_arithmetic(seed: int) -> None:
    tenths = np.random.default_rng(seed).integers(0, 4, size=10)
    exact = [sum(split) for split in itertools.combinations((Fraction(int(n), 10) for n in tenths), 5)]
    above, below = (sum(sign * (x - exact[0]) >= 0 for x in exact) for sign in (1, -1))
    values = [1000 + n / 10 for n in tenths.tolist()]
    assert permutation_p(values[:5], values[5:]) == pytest.approx(min(1, 2 * min(above, below) / 252), abs=1e-12)


def test_a_failed_seed_is_the_limit_of_a_value_without_bound() -> None:
    rng = np.random.default_rng(0)
    a, b = list(rng.normal(size=4)), list(rng.normal(0.5, 1, size=5))
    for failures_a, failures_b in [(1, 0), (2, 0), (1, 1), (2, 1), (0, 3)]:
        with_inf = permutation_p(a + [INF] * failures_a, b + [INF] * failures_b)
        with_huge = permutation_p(a + [1e7] * failures_a, b + [1e7] * failures_b)
        assert with_inf == pytest.approx(with_huge), (failures_a, failures_b)


def test_all_failed_against_none_is_as_clear_as_can_be() -> None:
    assert permutation_p([INF] * 5, [1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(2 / 252)
    assert permutation_p([INF] * 5, [INF] * 5) == 1.0
    assert rank_ranges([[INF] * 5, [1.0, 2.0, 3.0, 4.0, 5.0]]) == [(2, 2), (1, 1)]


def test_many_seeds_are_drawn_at_random_and_hold_the_level() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=30), rng.normal(0.6, 1, size=30)
    welch = stats.ttest_ind(a, b).pvalue
    assert permutation_p(a, b) == pytest.approx(welch, abs=4 * math.sqrt(welch / 20_000) + 0.005)
    assert permutation_p(a, b) == permutation_p(a, b)


def test_p_is_uniform_where_nothing_differs() -> None:
    rng = np.random.default_rng(2)
    p = np.array([permutation_p(*rng.normal(size=(2, 5))) for _ in range(600)])
    for level in (0.05, 0.2, 0.5):
        assert abs((p <= level).mean() - level) < 3.5 * math.sqrt(level * (1 - level) / 600) + 2 / 252


def test_holm_by_hand() -> None:
    # 4 x 0.005, 3 x 0.01, 2 x 0.03, then the maximum so far: Holm 1979's own scheme, worked by hand.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_summary_is_student_s() -> None:
    values = [3.1, 2.7, 4.0, 3.3, 2.9]
    found = summary(values)
    assert found is not None
    low, high = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    assert (found.mean, found.sd) == pytest.approx((np.mean(values), np.std(values, ddof=1)))
    assert found.interval == pytest.approx((low, high))
    one = summary([2.0])
    assert one is not None
    assert (one.mean, one.sd, one.interval) == (2.0, None, None)
    assert summary([]) is None


def test_the_median_counts_failures_as_the_worst() -> None:
    assert median([3.0, INF, 1.0]) == 3.0
    assert median([3.0, 1.0, 2.0, INF]) == 2.5
    assert median([1.0, INF, INF]) == INF


def test_two_clear_models_have_ranks_1_and_2_and_equal_ones_tie() -> None:
    good, bad = [1.0, 1.1, 1.2, 1.3, 1.4], [9.0, 9.1, 9.2, 9.3, 9.4]
    assert rank_ranges([bad, good]) == [(2, 2), (1, 1)]
    assert rank_ranges([good, good]) == [(1, 2), (1, 2)]
    assert rank_ranges([good]) == [(1, 1)]


def test_a_rank_range_counts_those_significantly_better_and_worse() -> None:
    six = np.arange(6)
    first, second, also_second, last = 0 + six, 100 + six, 100 + six[::-1], 900 + six
    assert rank_ranges([last, second, first, also_second]) == [(4, 4), (2, 3), (1, 1), (2, 3)]


def test_three_seeds_can_never_be_significant_and_the_note_says_so() -> None:
    assert rank_ranges([[1.0, 1.1, 1.2], [9.0, 9.1, 9.2]]) == [(1, 2), (1, 2)]
    note = power_note([3, 3])
    assert "is 0.1" in note
    assert "no difference in this table can be significant" in note
    assert "4 seeds" in note


def test_holm_over_many_pairs_asks_for_more_seeds() -> None:
    # 8 models: 28 pairs. 28 x 2 / C(12, 6) = 0.061 > 0.05, 28 x 2 / C(14, 7) = 0.016.
    assert power_note([5] * 8).endswith("so all ranks tie. With 7 seeds each, a difference could be.")
    assert "large differences can be significant" in power_note([7] * 8)
    assert power_note([5]) == power_note([]) == "Nothing to rank: fewer than two trained models."


@pytest.mark.parametrize("models", [2, 5, 8])
def test_the_note_agrees_with_the_ranks_of_models_as_far_apart_as_can_be(models: int) -> None:
    for seeds in range(2, 9):
        apart = [[1000.0 * m + s for s in range(seeds)] for m in range(models)]
        ranks = rank_ranges(apart)
        tied = all(rank == (1, models) for rank in ranks)
        assert tied == ("no difference" in power_note([seeds] * models)), (models, seeds)
        assert tied or ranks == [(m + 1, m + 1) for m in range(models)]


def test_the_table_of_docs_records_is_arithmetic() -> None:
    text = (Path(__file__).parents[1] / "docs" / "records.md").read_text()
    lines = re.findall(r"^\| (\d) \| ([\d.]+) \| (\w+) \|$", text, re.M)
    assert len(lines) == 6
    for seeds, least, models in lines:
        p = 2 / math.comb(2 * int(seeds), int(seeds))
        assert f"{p:.2g}" == f"{float(least):.2g}"
        most = max(m for m in range(1, 100) if math.comb(m, 2) * p <= 0.05)
        assert models == ("none" if most == 1 else str(most))
