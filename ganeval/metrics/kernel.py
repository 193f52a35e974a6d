"""Maximum mean discrepancies: KID, the Gaussian MMD, CMMD."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ganeval.errors import GanevalError
from ganeval.metrics._inputs import Array, pair
from ganeval.metrics._mmd import sums_of
from ganeval.metrics._pairwise import Pairwise, squared_distances, unit
from ganeval.types import Estimate

BIASED = "the biased estimate is above 0 even for equal distributions"
HEAVY = "the tails are heavy: a few images decide the value, and its error can't be told from so few"


def kid(
    fake: Array,
    real: Array,
    *,
    subsets: int = 100,
    subset_size: int = 1000,
    degree: int = 3,
    gamma: float | None = None,
    coef: float = 1.0,
    seed: int = 0,
) -> Estimate:
    """Kernel Inception Distance (Binkowski et al., 2018, arXiv:1801.01401), lower is better; unbiased, may be below 0.

    The unbiased squared MMD of features (N, D) and (M, D) with the kernel (gamma x.y + coef)^degree, gamma = 1 / D,
    as published: the mean over random subsets without replacement. `details` has `subset_std`, which papers print
    after +-, and `full_unbiased`, the estimate from all pairs at once, without the subsets' noise.
    Where a set has fewer images than subset_size, subsets are as large as the smaller set, and a warning says so.
    Every pair of images is compared once, for the full estimate and all subsets together; memory beside the
    features: under 100 MB and subsets * (N + M) bytes.

    std_error: the U-statistic's variance, of first and second order, plus the subsets' own. Interval, for the distance
    of the two populations: all distances t that the estimate is within Student's quantile of, in standard errors at t
    (`_mmd.Error`). Measured coverage: docs/calibration.md; none where few images decide.
    Raises GanevalError for fewer than 2 images, subsets or subset_size out of range.
    """
    x, y = pair(fake, real)
    if subsets < 1 or subset_size < 2:
        raise GanevalError(f"kid needs subsets >= 1 and subset_size >= 2, got {subsets} and {subset_size}")
    size = min(subset_size, len(x), len(y))
    scale = 1 / x.shape[1] if gamma is None else gamma

    def polynomial(a: Tensor, b: Tensor) -> Tensor:
        # The product in the features' own precision: in float32 it costs half, and its rounding averages out.
        return (a @ b.T).double().mul_(scale).add_(coef).pow_(degree)

    # Which images are in which subset; drawn in turn, so that a seed gives torch-fidelity's subsets.
    in_x, in_y = np.zeros((subsets, len(x)), bool), np.zeros((subsets, len(y)), bool)
    random = np.random.RandomState(seed)
    for a, b in zip(in_x, in_y, strict=True):
        a[random.choice(len(x), size, replace=False)] = True
        b[random.choice(len(y), size, replace=False)] = True
    full = sums_of(x, y, polynomial, torch.from_numpy(in_x).to(x.device), torch.from_numpy(in_y).to(x.device))
    values = (full.picked_within / (size * (size - 1)) - 2 * full.picked_across / size**2).cpu().numpy()
    spread = float(np.var(values, ddof=1)) / subsets if subsets > 1 else 0.0
    error = full.error()
    details: dict[str, float | str] = {
        "subset_std": float(np.std(values)),
        "full_unbiased": full.unbiased(),
        "full_unbiased_std_error": error.std_error(),
    }
    if size < subset_size:
        details["warning"] = f"subsets of {size} instead of {subset_size}, for want of images: not the published KID"
    value = float(np.mean(values))
    interval = error.interval(value, spread)
    if interval is None:
        details["no_interval"] = HEAVY
    return Estimate(value, error.std_error(spread), interval, len(x), len(y), details)


def mmd(
    fake: Array,
    real: Array,
    *,
    bandwidth: Literal["gan-metrics", "median", "fixed"] = "gan-metrics",
    sigma: float = 1.0,
    unbiased: bool = False,
) -> Estimate:
    """MMD with the Gaussian kernel exp(-||x - y||^2 / (2 b^2)) (Gretton et al., 2012), lower is better.

    Features (N, D) and (M, D). bandwidth: "gan-metrics" takes b^2 = sigma^2 times the mean squared distance within
    the real set (Xu et al., 2018, arXiv:1806.07755); "median" b = sigma times the median distance of the pooled first
    1000 of each; "fixed" b = sigma. The default value is the square root of the biased estimate, as there:
    range 0 to sqrt(2), biased upwards. unbiased=True gives the unbiased squared MMD, which may be below 0, with the
    standard error and the interval of `kid`, for the distance at the expected bandwidth.
    Raises GanevalError for another bandwidth, sigma not above 0, or a real set of one repeated image.
    """
    x, y = pair(fake, real)
    square = _bandwidth(x, y, bandwidth, sigma)
    sums = sums_of(x, y, _gaussian(square))
    details: dict[str, float | str] = {"bandwidth": math.sqrt(square)}
    if unbiased:
        error = sums.error()
        interval = error.interval(error.value)
        if interval is None:
            details["no_interval"] = HEAVY
        return Estimate(error.value, error.std_error(), interval, len(x), len(y), details)
    return Estimate(
        math.sqrt(max(0.0, sums.biased())), None, None, len(x), len(y), {**details, "no_interval": BIASED}
    )  # fmt: skip


def cmmd(fake: Array, real: Array, *, sigma: float = 10.0) -> Estimate:
    """CMMD (Jayasumana et al., 2024, arXiv:2401.09603): 1000 times the squared Gaussian MMD; lower is better.

    Features (N, D) and (M, D) are scaled to unit length; the published numbers use CLIP ViT-L/14-336 embeddings.
    The authors' code computes the biased estimate, their paper states the unbiased one; this is the code's, and
    `details` has the other with its standard error. Raises GanevalError for sigma not above 0.
    """
    x, y = pair(fake, real)
    if not sigma > 0:
        raise GanevalError(f"sigma={sigma} of cmmd; give a number above 0")
    gaussian = _gaussian(sigma * sigma)
    sums = sums_of(x, y, lambda a, b: gaussian(unit(a), unit(b)))
    details = {
        "unbiased": 1000 * sums.unbiased(),
        "unbiased_std_error": 1000 * sums.error().std_error(),
        "no_interval": BIASED,
    }
    return Estimate(1000 * sums.biased(), None, None, len(x), len(y), details)


def _gaussian(bandwidth_squared: float) -> Pairwise:
    return lambda a, b: squared_distances(a, b).div_(-2 * bandwidth_squared).exp_()


def _bandwidth(x: Tensor, y: Tensor, rule: str, sigma: float) -> float:
    """The squared bandwidth b^2."""
    if not sigma > 0:
        raise GanevalError(f"sigma={sigma} of mmd; give a number above 0")
    if rule == "gan-metrics":
        # The mean of ||y_i - y_j||^2 over all pairs, i = j too, is twice the total variance.
        square = 2 * float(y.double().var(0, correction=0).sum())
    elif rule == "median":
        some = torch.cat([x[:1000], y[:1000]])
        distances = squared_distances(some, some)
        square = float(distances[distances.new_ones(distances.shape).triu(1).bool()].median())
    elif rule == "fixed":
        square = 1.0
    else:
        raise GanevalError(f"bandwidth={rule!r} of mmd; give 'gan-metrics', 'median' or 'fixed'")
    if square == 0:
        raise GanevalError(f"the {rule} bandwidth of mmd is 0: the images are all alike; use bandwidth=fixed")
    return square * sigma * sigma
