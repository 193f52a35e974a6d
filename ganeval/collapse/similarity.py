"""Low diversity: is a fake more like the other fakes than a real image is like the other real ones?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganeval.errors import GanevalError
from ganeval.numerics.pairwise import squared_distances

PERMUTATIONS, FEWEST_BEYOND, MOST_PERMUTATIONS = 999, 2, 40_000
"""So many permutations, or more where the level is so low that it would be under FEWEST_BEYOND of them."""
DUPLICATE_QUANTILE = 0.02
TWIN = 0.02
"""Two images are twins, copies but for rounding or compression, when closer than this part of the median distance, and
no further apart than the nearest real images are: in a plane of few modes all points of a mode are that close."""
LEAST_SCALE, MOST_SCALE = 0.9, 2.0
"""Fakes are rescaled to the real total variance, for a change of contrast is not one of diversity: at most twofold, and
hardly down, where a few outliers would make all the others look alike."""
MANY_DUPLICATES, EACH, FEW_KINDS = 3.0, 0.2, 0.85
"""What counts: near-duplicates three times as frequent as among real images, and so many more that a fake has 0.2 of
them on average; or a Vendi score of order 2 under 0.85 of theirs."""


@dataclass(frozen=True)
class Similarity:
    """Both within-set similarities and their p-values, adjusted for there being two of them.

    duplicates_*: the share of pairs no further apart than eps; of the real ones the larger share of the two halves.
    vendi_*: 1 / mean K^2, the Vendi score of order 2. scale: the factor on the fakes.
    detectable_rate: the excess share of duplicates that the permutations stay under but for `level` of them.
    """

    p_value: float
    p_duplicates: float
    p_vendi: float
    duplicates_fake: float
    duplicates_real: float
    vendi_fake: float
    vendi_real: float
    eps: float
    sigma: float
    scale: float
    detectable_rate: float


@dataclass(frozen=True)
class Support:
    """Twins among n fakes, and the number of distinct images that the birthday estimate takes from them.

    estimate: n (n - 1) / 2 over the pairs (Arora and Zhang, 2018, arXiv:1706.08224), None without a pair.
    with_twin: the share of fakes that have a twin.
    """

    pairs: int
    estimate: float | None
    with_twin: float
    n: int
    distance: float


def find_twins(fake: Tensor, real: Similarity | None, show: int) -> tuple[Support, list[tuple[int, int, float]]]:
    """The twins among the fakes (N, D), and the `show` nearest pairs as (i, j, distance).

    real: has the distances of real images; None takes the fakes' own, and finds less where all are alike.
    """
    d = squared_distances(fake, fake).sqrt()
    n = len(d)
    upper = torch.triu_indices(n, n, 1)
    distances = d[upper[0], upper[1]]
    limit = TWIN * float(distances.median()) if real is None else min(2 * TWIN * real.sigma, real.eps)
    near = distances.topk(min(show, len(distances)), largest=False)
    nearest = [(int(upper[0, i]), int(upper[1, i]), float(distances[i])) for i in near.indices]
    pairs = int((distances <= limit).sum())
    with_twin = float((d.fill_diagonal_(torch.inf).amin(1) <= limit).double().mean())
    return Support(pairs, len(distances) / pairs if pairs else None, with_twin, n, limit), nearest


def total_variance(rows: Tensor) -> float:
    """The trace of the unbiased covariance."""
    return float(rows.double().var(0).sum())


def bandwidths(squares: Tensor) -> tuple[float, float]:
    """eps, the 2% quantile of the distances to the nearest neighbour, and sigma, half the median distance.

    squares: the squared distances between held-out real images (M, M).
    Raises GanevalError where most pairs of these are copies: nothing is less diverse.
    """
    nearest = squares.clone().fill_diagonal_(torch.inf).amin(1).sqrt()
    upper = torch.triu_indices(len(squares), len(squares), 1)
    median = float(squares[upper[0], upper[1]].median().sqrt())
    if not median:
        raise GanevalError("most pairs of real images have the same features, so no fakes can be less diverse; give "
                           "another reference, or another extractor")  # fmt: skip
    return float(nearest.quantile(DUPLICATE_QUANTILE)), median / 2


def rescaled(fake: Tensor, variance: float) -> tuple[Tensor, float]:
    """The fakes about their mean, scaled to a total variance as far as LEAST_SCALE and MOST_SCALE allow; the factor."""
    own = total_variance(fake)
    wanted = (variance / own) ** 0.5 if own else MOST_SCALE
    scale = min(max(wanted, LEAST_SCALE), MOST_SCALE)
    mean = fake.mean(0)
    return mean + scale * (fake - mean), scale


def similarity_test(
    fake: Tensor, real: Tensor, held_out: Tensor, random: np.random.Generator, level: float = 0.025
) -> Similarity:
    """Label-permutation test that the fakes (N, D) are more alike among themselves than the real images (M, D) are.

    T_k = mean_{i != j fake} k - mean_{i != j real} k for two kernels: k = 1[d <= eps], the share of near-duplicates
    (the birthday collisions of Arora and Zhang, 2018, arXiv:1706.08224), and k = exp(-d^2 / sigma^2), whose mean is
    1 / VS_2, the Vendi score of order 2 (Pasarkar and Dieng, 2023, arXiv:2310.12952). Each is divided by its standard
    deviation over the permutations, and the larger one is the statistic (max-T; Westfall and Young, 1993).

    eps and sigma come from held_out, real images that the test does not use. The fakes are first rescaled about their
    mean to the total variance of `real`: lower contrast is not lower diversity. The rescaling knows the labels, so in
    the permuted sets the similarity that unequal total variances explain, to first order, is taken out likewise.
    Given that, labels are exchangeable if both sets come from one distribution, and the p-value is valid at any N, M.

    level: what the p-value will be held against; it sets the number of permutations.
    """
    within = squared_distances(held_out, held_out)
    eps, sigma = bandwidths(within)
    scaled, scale = rescaled(fake.double(), total_variance(real))
    pooled = torch.cat([scaled, real.double()])
    d = squared_distances(pooled, pooled)
    kernels = [(d <= eps**2).double(), torch.exp(-d / sigma**2)]
    n = len(fake)
    labels = permuted_labels(n, len(pooled), permutations(level), random)
    spread = _differences(d, labels)
    spread[0] = 0
    statistics, rates = [], []
    for kernel, slope in zip(kernels, _slopes(within, eps, sigma), strict=True):
        t = _differences(kernel, labels)
        adjusted = t - slope * spread
        deviation = adjusted.std()
        statistics.append(adjusted / deviation if deviation > 0 else torch.zeros_like(adjusted))
        rates.append(t[1:])
    largest = torch.stack(statistics).amax(0)
    p_duplicates, p_vendi = (float((largest >= t[0]).double().mean()) for t in statistics)
    near, alike = ((_mean_within(k[:n, :n]), _mean_within(k[n:, n:])) for k in kernels)
    near_held = _mean_within((within <= eps**2).double())
    return Similarity(
        p_value=min(p_duplicates, p_vendi),
        p_duplicates=p_duplicates,
        p_vendi=p_vendi,
        duplicates_fake=near[0],
        duplicates_real=max(near[1], near_held),
        vendi_fake=1 / alike[0],
        vendi_real=1 / alike[1],
        eps=eps,
        sigma=sigma,
        scale=scale,
        detectable_rate=float(rates[0].quantile(1 - level)),
    )


def permutations(level: float) -> int:
    """How many; more than MOST_PERMUTATIONS are never needed, for `collapse_test` refuses such levels."""
    return max(PERMUTATIONS, math.ceil(FEWEST_BEYOND / level) - 1)


def permuted_labels(n: int, total: int, count: int, random: np.random.Generator) -> Tensor:
    """uint8 (1 + count, N + M) of 1 for fake and 0 for real; row 0 is the truth."""
    labels = np.zeros((1 + count, total), np.uint8)
    labels[:, :n] = 1
    labels[1:] = random.permuted(labels[1:], axis=1)
    return torch.from_numpy(labels)


def _differences(kernel: Tensor, labels: Tensor) -> Tensor:
    """Mean within the ones minus mean within the zeros, without the diagonal, for each row of labels.

    With s of 0 and 1, s'Ks is the sum within the ones; that within the zeros is 1'K1 - 2 s'K1 + s'Ks.
    """
    n, total = int(labels[0].sum()), labels.shape[1]
    m = total - n
    columns = torch.stack([kernel.sum(1), kernel.diagonal()], 1)
    sums = []
    # Each part is one product; all the labels at once would be large as floats.
    for part in labels.split(1000):
        ones = part.to(kernel.dtype)
        sums.append(torch.cat([((ones @ kernel) * ones).sum(1, keepdim=True), ones @ columns], 1))
    quadratic, cross, trace = torch.cat(sums).T
    within = (quadratic - trace) / (n * (n - 1))
    zeros = (kernel.sum() - 2 * cross + quadratic - (kernel.diagonal().sum() - trace)) / (m * (m - 1))
    return within - zeros


def _slopes(d: Tensor, eps: float, sigma: float) -> tuple[float, float]:
    """d mean k / d mean d^2 of each kernel when a set is scaled: central differences of 10% from d, held-out d^2."""
    step = 0.2 * _mean_within(d)
    near = [_mean_within((d * c <= eps**2).double()) for c in (1.1, 0.9)]
    alike = [_mean_within(torch.exp(-d * c / sigma**2)) for c in (1.1, 0.9)]
    return (near[0] - near[1]) / step, (alike[0] - alike[1]) / step


def _mean_within(kernel: Tensor) -> float:
    n = len(kernel)
    return float((kernel.sum() - kernel.diagonal().sum()) / (n * (n - 1)))
