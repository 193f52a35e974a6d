"""Maximum mean discrepancies: KID, the Gaussian MMD, CMMD."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ganeval.errors import GanevalError
from ganeval.fp32 import true_fp32
from ganeval.numerics.inputs import Array, pair, stream
from ganeval.numerics.mmd import Error, Kernel, Sums, Tally
from ganeval.numerics.moments import mean
from ganeval.numerics.pairwise import BLOCK, Centred, one_pass, rounding_shows, squared_distances, unit, widened
from ganeval.types import Estimate

BIASED = "the biased estimate is above 0 even for equal distributions"
SMALLEST = 50
"""Images of either set from which an interval is given; with 20 it was found to hold 91.5 times in 100."""
FEWEST_SUBSETS = 10
"""Subsets whose own scatter is known well enough: with 2 or 3 an interval was found to hold 84 to 88%."""
MOST = 1 << 34
"""Bytes for which image is in which subset."""
HIGHEST = 20
"""Degree of a polynomial kernel; higher ones overflow, or tell nothing but the largest product."""
LARGEST = 1e70
"""Of a kernel: fourth powers of it, which its error is made of, overflow float64 beyond."""
ALIKE = 1e-28
"""A variance below this share of the mean square is the rounding of one constant."""
FLAT = "the features vary too little for the digits of the kernel"
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
    subsets_only: bool = False,
) -> Estimate:
    """Kernel Inception Distance (Binkowski et al., 2018, arXiv:1801.01401), lower is better; unbiased, may be below 0.

    The unbiased squared MMD of features (N, D) and (M, D) with the kernel (gamma x.y + coef)^degree, gamma = 1 / D,
    as published: the mean over random subsets without replacement. `details` has `subset_std`, which papers print
    after +-, and `full_unbiased`, the estimate from all pairs at once, without the subsets' noise.
    Where a set has fewer images than subset_size, subsets are as large as the smaller set, and a warning says so.
    Every pair of images is compared once, for the full estimate and all subsets together; memory beside the
    features: that of `numerics.pairwise`, and subsets * (N + M) bytes. subsets_only=True compares the pairs within the
    subsets alone, for the same value, where those are fewer: with the defaults from 10,000 images on.

    std_error: the U-statistic's variance, of first and second order, plus the subsets' own; with subsets_only inferred
    from the subsets', for sets as large as the smaller one. Interval, for the distance of the two populations: all
    distances t that the estimate is within Student's quantile of, in standard errors at t (`numerics.mmd.Error`).
    Measured coverage: docs/calibration.md; none under SMALLEST images, nor where few of them decide. Raises
    GanevalError for fewer than 2 images, subsets or subset_size out of range.
    """
    return _alone(kid_reading, fake, real, subsets=subsets, subset_size=subset_size, degree=degree, gamma=gamma,
                  coef=coef, seed=seed, subsets_only=subsets_only)  # fmt: skip


def kid_reading(
    x: Centred, y: Centred, *, subsets: int, subset_size: int, degree: int, gamma: float | None, coef: float,
    seed: int, subsets_only: bool,
) -> Reading:  # fmt: skip
    """`kid` in a pass that others share."""
    if subsets < 1 or subset_size < 2:
        raise GanevalError(f"kid needs subsets >= 1 and subset_size >= 2, got {subsets} and {subset_size}")
    n, m = len(x.rows), len(y.rows)
    if subsets * (n + m) > MOST:
        raise GanevalError(f"subsets={subsets} of kid; give at most {MOST // (n + m):,} of so many images")
    size = min(subset_size, n, m)
    kernel = kid_kernel(x, y, degree, gamma, coef)
    # Which images are in which subset; drawn in turn, so that a seed gives torch-fidelity's subsets.
    in_x, in_y = np.zeros((subsets, n), bool), np.zeros((subsets, m), bool)
    random = stream(seed)
    for i in range(subsets):
        in_x[i, random.choice(n, size, replace=False)] = True
        in_y[i, random.choice(m, size, replace=False)] = True

    def from_all(sums: Sums) -> Estimate:
        picked = sums.picked_within / (size * (size - 1)) - 2 * sums.picked_across / size**2
        error = sums.error()
        return estimate((picked + sums.level()).cpu().numpy(), error,
                        {"full_unbiased": sums.unbiased(), "full_unbiased_std_error": error.std_error()})  # fmt: skip

    def from_subsets() -> Estimate:
        found = [_sums(x.some(of_x), y.some(of_y), kernel) for of_x, of_y in zip(*members, strict=True)]
        values = np.array([sums.unbiased() for sums in found])
        return estimate(values, Error.from_subsets([sums.error() for sums in found], min(n, m) / size), {})

    def estimate(values: np.ndarray, error: Error, details: dict[str, float | str]) -> Estimate:
        some = size < max(n, m)  # a subset of all images has no noise of its own
        spread = float(np.var(values, ddof=1)) / subsets if some and subsets > 1 else 0.0
        details = {"subset_std": float(np.std(values)), **details}
        if size < subset_size:
            details["warning"] = (
                f"subsets of {size} instead of {subset_size}, for want of images: not the published KID"
            )
        value = float(np.mean(values))
        if some and subsets < FEWEST_SUBSETS:
            details["no_interval"] = f"{subsets} subset(s), where {FEWEST_SUBSETS} are needed to tell their noise"
            return Estimate(value, None if subsets == 1 else error.std_error(spread), None, n, m, details)
        interval = _interval(error, value, spread, min(n, m), details)
        return Estimate(value, error.std_error(spread) or None, interval, n, m, details)

    members = [torch.from_numpy(which).to(x.norms.device) for which in (in_x, in_y)]
    if subsets_only and (n + m) ** 2 > subsets * (2 * size) ** 2:
        return Reading((), from_subsets)
    return Reading((Tally(x, y, kernel, *members),), from_all)


def _sums(x: Centred, y: Centred, kernel: Kernel) -> Sums:
    tally = Tally(x, y, kernel)
    one_pass(x, y, [tally])
    return tally.sums()


def kid_kernel(x: Centred, y: Centred, degree: int, gamma: float | None, coef: float) -> Kernel:
    """KID's; raises GanevalError for what is no kernel, or overflows."""
    gamma = 1 / x.rows.shape[1] if gamma is None else gamma
    if not 1 <= degree <= HIGHEST or degree != int(degree) or not (0 < gamma < math.inf and 0 <= coef < math.inf):
        raise GanevalError(f"degree={degree}, gamma={gamma:g} and coef={coef:g} of kid; the degree is a whole number "
                           f"from 1 to {HIGHEST}, gamma is above 0, and coef is not below")  # fmt: skip
    of_x, of_y = (math.sqrt(float(z.norms.max())) + float(z.centre.double().norm()) for z in (x, y))
    if gamma * of_x * of_y + coef > LARGEST ** (1 / degree):
        raise GanevalError(f"kid overflows with degree={degree}, gamma={gamma:g}, coef={coef:g} and features of up to "
                           f"{max(of_x, of_y):.1e} in length; scale them down")  # fmt: skip
    return polynomial(int(degree), gamma, coef)


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
    standard error and the interval of `kid`, for the distance at the expected bandwidth; that a real image moves the
    bandwidth too is counted for "gan-metrics".
    Raises GanevalError for another bandwidth, sigma not above 0, or a real set of one repeated image.
    """
    return _alone(mmd_reading, fake, real, bandwidth=bandwidth, sigma=sigma, unbiased=unbiased)


def mmd_reading(x: Centred, y: Centred, *, bandwidth: str, sigma: float, unbiased: bool) -> Reading:
    """`mmd` in a pass that others share."""
    n, m = len(x.rows), len(y.rows)
    square = squared_bandwidth(x.rows, y.rows, bandwidth, sigma)
    tallies = [Tally(x, y, gaussian(square))]
    if unbiased and bandwidth == "gan-metrics":
        tallies.append(Tally(x, y, gaussian_slope(square)))

    def estimate(sums: Sums, *slope: Sums) -> Estimate:
        details: dict[str, float | str] = {"bandwidth": math.sqrt(square)}
        if not unbiased:
            details["no_interval"] = BIASED
            return Estimate(math.sqrt(max(0.0, sums.biased())), None, None, n, m, details)
        # b^2 is in proportion to the mean of ||y - mean||^2, y.norms, so these are the influences on log b^2.
        moved = slope[0].unbiased() * (y.norms / y.norms.mean() - 1) if slope else 0.0
        error = sums.error(moved)
        interval = _interval(error, error.value, 0.0, min(n, m), details)
        return Estimate(error.value, error.std_error() or None, interval, n, m, details)

    return Reading(tuple(tallies), estimate)


def cmmd(fake: Array, real: Array, *, sigma: float = 10.0) -> Estimate:
    """CMMD (Jayasumana et al., 2024, arXiv:2401.09603): 1000 times the squared Gaussian MMD; lower is better.

    Features (N, D) and (M, D) are scaled to unit length; the published numbers use CLIP ViT-L/14-336 embeddings.
    The authors' code computes the biased estimate, their paper states the unbiased one; this is the code's, and
    `details` has the other with its standard error. Raises GanevalError for sigma not above 0.
    """
    return _alone(cmmd_reading, fake, real, sigma=sigma)


def cmmd_reading(x: Centred, y: Centred, *, sigma: float) -> Reading:
    """`cmmd` in a pass that others share."""
    kernel = cmmd_kernel(x, y, sigma)

    def estimate(sums: Sums) -> Estimate:
        details = {
            "unbiased": 1000 * sums.unbiased(),
            "unbiased_std_error": 1000 * sums.error().std_error(),
            "no_interval": BIASED,
        }
        return Estimate(1000 * max(0.0, sums.biased()), None, None, len(x.rows), len(y.rows), details)

    return Reading((Tally(x, y, kernel),), estimate)


def cmmd_kernel(x: Centred, y: Centred, sigma: float) -> Kernel:
    """CMMD's; raises what `cmmd` raises."""
    check_sigma(sigma, "cmmd")
    if not bool((x.lengths > 0).all() and (y.lengths > 0).all()):
        raise GanevalError("cmmd: some images have only zeros as features, which can't be scaled to unit length")
    return unit_gaussian(sigma * sigma)


@dataclass(frozen=True)
class Reading:
    """What a kernel distance adds up in a pass, and how the sums become its estimate."""

    tallies: tuple[Tally, ...]
    made: Callable[..., Estimate]

    def estimate(self) -> Estimate:
        """Once the pass is over."""
        return self.made(*(tally.sums() for tally in self.tallies))


def _interval(
    error: Error, value: float, more: float, n: int, details: dict[str, float | str]
) -> tuple[float, float] | None:
    """The interval from n images or more of each set; `details` says why there is none."""
    interval = error.interval(value, more) if n >= SMALLEST else None
    if interval is None:
        why = HEAVY if error.freedom else FLAT
        details["no_interval"] = why if n >= SMALLEST else f"{n} images, where {SMALLEST} are needed"
    return interval


@true_fp32()
def _alone(reading: Callable[..., Reading], fake: Array, real: Array, **options: Any) -> Estimate:
    sides = Centred.both(*pair(fake, real))
    alone = reading(*sides, **options)
    one_pass(*sides, alone.tallies)
    return alone.estimate()


def polynomial(degree: int, gamma: float, coef: float) -> Kernel:
    """(gamma x.y + coef)^degree."""

    # Products of float32 features are in float32: it costs half, and their rounding averages out.
    def kernel(x: Centred, rows: slice, y: Centred, columns: slice, products: Tensor) -> Tensor:
        return x.dots(rows, y, columns, products, gamma, coef).pow_(degree)

    return kernel


def gaussian(bandwidth_squared: float) -> Kernel:
    """exp(-||x - y||^2 / (2 b^2))."""
    half = 1 / (2 * bandwidth_squared)

    def kernel(x: Centred, rows: slice, y: Centred, columns: slice, products: Tensor) -> Tensor:
        of_rows, of_columns = x.norms[rows], y.norms[columns]
        if rounding_shows(products, float(of_rows.max() + of_columns.max()), bandwidth_squared):
            return squared_distances(x.rows[rows], y.rows[columns]).mul_(-half).exp_()
        # ||x - y||^2 = ||x||^2 + ||y||^2 - 2 x.y
        return widened(products, 2 * half, -half * of_rows, -half * of_columns).exp_()

    return kernel


def gaussian_slope(bandwidth_squared: float) -> Kernel:
    """The derivative of `gaussian` by log b^2: k ||x - y||^2 / (2 b^2), which is -k log k."""
    plain = gaussian(bandwidth_squared)

    def kernel(x: Centred, rows: slice, y: Centred, columns: slice, products: Tensor) -> Tensor:
        k = plain(x, rows, y, columns, products)
        return torch.xlogy(k, k).neg_()

    return kernel


def unit_gaussian(bandwidth_squared: float) -> Kernel:
    """The Gaussian kernel of x / ||x|| and y / ||y||, CMMD's."""

    def kernel(x: Centred, rows: slice, y: Centred, columns: slice, products: Tensor) -> Tensor:
        if rounding_shows(products, x.longer(rows) * y.longer(columns), bandwidth_squared):
            squares = squared_distances(unit(x.rows[rows]), unit(y.rows[columns]))
            return squares.div_(-2 * bandwidth_squared).exp_()
        # ||u - v||^2 = 2 - 2 u.v
        return x.cosines(rows, y, columns, products).sub_(1).div_(bandwidth_squared).exp_()

    return kernel


def check_sigma(sigma: float, name: str) -> None:
    """Raises GanevalError for a bandwidth whose square is not above 0, and finite."""
    if not (sigma > 0 and 0 < sigma * sigma < math.inf):
        raise GanevalError(f"sigma={sigma} of {name}; give a number above 0, within the range of its square")


def squared_bandwidth(x: Tensor, y: Tensor, rule: str, sigma: float) -> float:
    """The squared bandwidth b^2."""
    check_sigma(sigma, "mmd")
    centre = mean(y)
    variance = sum(float((block.double() - centre).square().sum()) for block in y.split(BLOCK)) / len(y)
    if rule == "gan-metrics":
        # The mean of ||y_i - y_j||^2 over all pairs, i = j too, is twice the total variance.
        square = 2 * variance
    elif rule == "median":
        some = torch.cat([x[:1000], y[:1000]])
        distances = squared_distances(some, some)
        square = float(distances[distances.new_ones(distances.shape).triu(1).bool()].median())
    elif rule == "fixed":
        square = 1.0
    else:
        raise GanevalError(f"bandwidth={rule!r} of mmd; give 'gan-metrics', 'median' or 'fixed'")
    if square <= ALIKE * (variance + float(centre.square().sum())) / y.shape[1]:
        raise GanevalError(f"the {rule} bandwidth of mmd is 0: the images are all alike; use bandwidth=fixed")
    return square * sigma * sigma
