"""The Fréchet distance between Gaussians fitted to features: FID, FID without its bias, MiFID."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ganeval.errors import GanevalError
from ganeval.fp32 import true_fp32
from ganeval.numerics.first_order import Linear, linearise, regular_distance
from ganeval.numerics.fitted import HALVINGS, Fitted, trace_of_root_product
from ganeval.numerics.inputs import Array, matrix, pair, stream
from ganeval.numerics.intervals import normal
from ganeval.numerics.pairwise import BLOCK, Centred, across, unit
from ganeval.types import Estimate, Moments

SINGULAR = "a covariance is singular, so that the influence of an image is not defined"
ROWS_PER_DIMENSION = 4
"""Images per feature dimension from which the interval of `fid_debiased` was found to hold (docs/calibration.md)."""
SMALLEST = 50
"""Images of either set under which there is none, however few features there are: of 20 it was found to hold 88%."""


def fid(fake: Array, real: Array | Moments) -> Estimate:
    """Fréchet Inception Distance (Heusel et al., 2017, arXiv:1706.08500, eq. 6), lower is better, at least 0.

    |m - m_r|^2 + tr(S + S_r - 2 (S S_r)^(1/2)) of features (N, D) and (M, D), with unbiased covariances, summed in
    float64; real may be Moments. Biased upwards by about (a / N + b / M): compare only at equal N and M, or use
    fid_debiased.

    std_error: delta method, from the influence of each image (see `Linear`); it describes the scatter and not the
    bias, so there is no interval. With Moments the reference is taken as exact. None where N or M is not above D.
    Raises GanevalError for unequal D, under 2 images, NaN or infinity.
    """
    return frechet(fake, real, {"fid": {}})["fid"]


def fid_debiased(fake: Array, real: Array | Moments, *, seed: int = 0) -> Estimate:
    """FID without its O(1/N) bias and with a 95% interval; lower is better, and near 0 it may be below 0.

    2 F(N, M) - mean F(N/2, M/2) over both halves of each set, averaged over HALVINGS random halvings with the seed:
    F(N, M) = F + a/N + b/M + ..., so the first order cancels, as in FID-infinity (Chong and Forsyth, 2020,
    arXiv:1911.07023), without drawing any new image. The second order is 0 at N = M; else, and where the reference is
    exact, that of Gaussians is taken off (`Linear.higher_bias`). Features (N, D) and (M, D). With Moments for real,
    the reference is taken as exact: its own bias, about b / M, stays.

    std_error^2 = max(v - (1 - 1 / HALVINGS) W, (1 + 1 / HALVINGS) W). v is the variance of the influence (delta
    method), in which the noise of order D / N counts twice; W is the variance of that noise, the terms of second order,
    which the value has 1 + 1 / HALVINGS times, once from itself and the rest from its halves (see `_std_error`).
    Interval: normal. Measured coverage, and where it fails, in docs/calibration.md: none is given below SMALLEST or
    ROWS_PER_DIMENSION * D images, where the extrapolation itself is not to be trusted either, nor where heavy tails
    (`details["tails"]`, the bias found over a Gaussian's) leave a bias of second order above half the standard error.
    Raises GanevalError as `fid`, and for under 4 images.
    """
    return frechet(fake, real, {"fid_debiased": {"seed": seed}})["fid_debiased"]


@true_fp32()
def frechet(fake: Array, real: Array | Moments, wanted: Mapping[str, Mapping[str, Any]]) -> dict[str, Estimate]:
    """fid and fid_debiased, {name: its options}, from one decomposition."""
    x, y = fitted(*_checked(fake, real, at_least=4 if "fid_debiased" in wanted else 2), wanted)
    linear = linearise(x, y)
    value = _not_negative(linear.distance) if linear else distance(x, y)
    results = {}
    if "fid" in wanted:
        error = math.sqrt(linear.variance()) if linear else None
        details = {"no_interval": "biased upwards at finite n, by more than its standard error; see fid_debiased"}
        if error is None:
            least = min(side.n for side in (x, y) if side.n)
            few = f"{least} images are not more than the {x.dim} features"
            details["no_std_error"] = few if least <= x.dim else SINGULAR
        results["fid"] = Estimate(value, error, None, x.n, y.n, details)
    if "fid_debiased" in wanted:
        results["fid_debiased"] = debiased(x, y, value, linear)
    return {name: results[name] for name in wanted}


def _checked(fake: Array, real: Array | Moments, at_least: int) -> tuple[Tensor, Tensor | Moments]:
    if not isinstance(real, Moments):
        return pair(fake, real, at_least=at_least)
    x = matrix(fake, "fake", at_least=at_least)
    if x.shape[1] != len(real.mean):
        raise GanevalError(f"fake has {x.shape[1]} columns and the statistics have {len(real.mean)}; "
                           "both must come from one extractor")  # fmt: skip
    return x, real.to(x.device)


@true_fp32()
def distance(x: Tensor | Moments | Fitted, y: Tensor | Moments | Fitted) -> float:
    """The Fréchet distance of eq. 6 alone; either set may have fewer images than features."""
    a, b = (side if isinstance(side, Fitted) else Fitted(side) for side in (x, y))
    (mean_a, variance_a), (mean_b, variance_b) = a.centre_and_variance(), b.centre_and_variance()
    shift = float((mean_a - mean_b).square().sum())
    return _not_negative(shift + variance_a + variance_b - 2 * trace_of_root_product(a, b))


def _not_negative(value: float) -> float:
    """Rounding may take the distance of equal sets below 0; what is no number stays so."""
    return 0.0 if value < 0 else value


def fitted(fake: Tensor, real: Tensor | Moments, wanted: Mapping[str, Mapping[str, Any]]) -> tuple[Fitted, Fitted]:
    """Both sets in quarters, as `debiased` takes them; for `fid` alone too, whose digits shall be the same there."""
    halved = "fid_debiased" in wanted
    random = stream(wanted["fid_debiased"]["seed"] if halved else 0)
    return Fitted.in_quarters(fake, random, halved), Fitted.in_quarters(real, random, halved)


def debiased(x: Fitted, y: Fitted, whole: float, linear: Linear | None) -> Estimate:
    """`fid_debiased` of sets in quarters, whose distance is `whole`, and whose first order is known or can't be had."""
    enough = max(SMALLEST, ROWS_PER_DIMENSION * x.dim)
    fewest = min(side.n for side in (x, y) if side.n and not side.exact)
    pairs = (two for both in zip(x.halvings(), y.halvings(), strict=True) for two in zip(*both, strict=True))
    first = next(pairs)
    half = regular_distance(*first) if linear and fewest >= enough else None
    distances = [distance(*first) if half is None else half]
    del first  # what was made for it
    distances += [distance(*two) for two in pairs]
    value = 2 * whole - sum(distances) / (2 * HALVINGS) + (2 * linear.higher_bias() if linear else 0)
    n, m = x.n, y.n
    details: dict[str, Any] = {"plain": whole, "bias": whole - value}
    if y.exact:
        details["reference"] = "taken as exact: only the samples' part of the bias and of the error is in the number"
        # The bias goes with the number of images, about alike for both sets.
        if m is None:
            details["warning"] = (
                "too high by the bias that the reference's own images add, and the statistics do not say how many they "
                "are: score against the images, or make the statistics by `ganeval reference`"
            )
        elif (stays := (whole - value) * fewest / m) > (linear.variance() ** 0.5 if linear else 0) / 2:
            details["warning"] = (
                f"about {stays:.2g} of it is the bias that the reference's own {m:,} images add, which statistics "
                "do not tell: score against the images"
            )
    if linear is None or half is None:
        details["no_interval"] = (
            f"{fewest} images for {x.dim} features, where {enough} are needed" if fewest < enough else SINGULAR
        )
        return Estimate(value, None, None, n, m, details)
    std_error, details["tails"] = _std_error(linear, whole - value)
    # The bias of second order, which stays: in proportion to the first, to D / N, and to how much heavier the tails
    # are than a Gaussian's, whose own ratio was found below 1 + D / N at these sizes.
    per_image = x.dim / fewest
    left = (whole - value) * max(0.0, details["tails"] - 1 - per_image) * per_image
    if left > std_error / 2:
        details["no_interval"] = (
            f"the features' tails are heavy ({details['tails']:.2f} times the bias of a Gaussian) for {fewest} images "
            f"and {x.dim} features: a bias of about {left:.2g} stays in the value"
        )
        return Estimate(value, None, None, n, m, details)
    return Estimate(value, std_error, normal(value, std_error), n, m, details)


def _std_error(linear: Linear, bias: float) -> tuple[float, float]:
    """The standard error of `fid_debiased`, and the bias found over a Gaussian's.

    Heavy tails raise the bias and the variance of second order alike; the bias that was found against the Gaussian's
    says by how much.
    """
    rate = linear.rate()
    gaussian_bias, gaussian_second = linear.second_order()
    gaussian_bias *= rate
    tails = max(0.0, bias / gaussian_bias)
    second = rate**2 * gaussian_second * tails**2
    # Where both sets are one distribution the first order is 0, and all of the variance is noise of the size of 2 W.
    return math.sqrt(max(linear.variance() - (1 - 1 / HALVINGS) * second, (1 + 1 / HALVINGS) * second)), tails


@true_fp32()
def mifid(fake: Array, real: Array, *, eps: float = 0.1) -> Estimate:
    """Memorisation-informed FID (Bai et al., 2021, arXiv:2106.03062): FID / d, lower is better.

    d is the mean over the fakes of the smallest cosine distance 1 - |cos| to a real image where that mean is under
    eps, else 1. Features (N, D) and (M, D); the real ones must be the training set, for only it can be copied.
    eps = 0.1 was set for Inception features. torchmetrics averages over the real images instead.
    Infinite where every fake is a copy. No standard error: d jumps at eps. Raises GanevalError as `fid`, and for
    images whose features are all 0.
    """
    x, y = pair(fake, real)
    if not eps > 0:
        raise GanevalError(f"eps={eps} of mifid; give a number above 0")
    if not (bool(x.any(1).all()) and bool(y.any(1).all())):
        raise GanevalError("mifid: some images have only zeros as features, so no cosine distance")
    apart = 1 - nearest_cosines(x, y)
    # Rounding puts a copy's distance a little off 0, on either side.
    apart = torch.where(apart < 1e-12, 0.0, apart)
    nearest = float(apart.mean())
    value = distance(x, y)
    penalty = nearest if nearest < eps else 1.0
    value = value / penalty if penalty else math.inf
    details = {"nearest_cosine_distance": nearest, "no_interval": "biased as FID is, and its penalty jumps at eps"}
    return Estimate(value, None, None, len(x), len(y), details)


def nearest_cosines(x: Tensor, y: Tensor) -> Tensor:
    """The largest |cos| of each x to any y (N,), float64; which y it is, is looked up by products of centred rows."""
    fakes, reals = Centred.both(x, y)
    best = fakes.norms.new_full((len(x),), -1.0), torch.zeros(len(x), dtype=torch.int64, device=x.device)
    for rows, columns, products in across(fakes, reals):
        found, which = fakes.cosines(rows, reals, columns, products).abs_().max(1)
        better = found > best[0][rows]
        best[0][rows] = torch.where(better, found, best[0][rows])
        best[1][rows] = torch.where(better, which + columns.start, best[1][rows])
    pairs = zip(x.split(BLOCK), best[1].split(BLOCK), strict=True)
    return torch.cat([(unit(block) * unit(y[which])).sum(1).abs() for block, which in pairs])
