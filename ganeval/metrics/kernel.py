"""Maximum mean discrepancies: KID, the Gaussian MMD, CMMD."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ganeval.errors import GanevalError
from ganeval.intervals import student
from ganeval.metrics._inputs import Array, pair
from ganeval.metrics._pairwise import Pairwise, blocks, half_blocks, squared_distances, unit
from ganeval.types import Estimate

BIASED = "the biased estimate is above 0 even for equal distributions"
HEAVY = "the tails are heavy: a few images decide the value, and its error can't be told from so few"
FREEDOM = 30
"""Degrees of freedom of the estimated variance under which no interval is given."""


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

    std_error: the U-statistic's variance (first and second order) plus the subsets' own. Interval: normal.
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
    full = _sums(x, y, polynomial, torch.from_numpy(in_x).to(x.device), torch.from_numpy(in_y).to(x.device))
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
    standard error of a U-statistic and a normal interval.
    Raises GanevalError for another bandwidth, sigma not above 0, or a real set of one repeated image.
    """
    x, y = pair(fake, real)
    square = _bandwidth(x, y, bandwidth, sigma)
    sums = _sums(x, y, _gaussian(square))
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
    sums = _sums(x, y, lambda a, b: gaussian(unit(a), unit(b)))
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


@dataclass(frozen=True)
class _Sums:
    """Row sums, diagonals and sums of squares of the kernel matrices within x, within y, and across.

    picked_within: the sums over the pairs of different images of each subset, within x and y together; picked_across:
    those between its images of x and of y.
    """

    xx: Tensor
    yy: Tensor
    xy: Tensor
    yx: Tensor
    diagonal_x: float
    diagonal_y: float
    squares: tuple[float, float, float]
    picked_within: Tensor
    picked_across: Tensor

    def biased(self) -> float:
        """The V-statistic: means over all pairs, those of an image with itself too."""
        n, m = len(self.xx), len(self.yy)
        whole_x, whole_y = float(self.xx.sum()) + self.diagonal_x, float(self.yy.sum()) + self.diagonal_y
        return whole_x / n**2 + whole_y / m**2 - 2 * float(self.xy.sum()) / (n * m)

    def unbiased(self) -> float:
        """The U-statistic: pairs of different images only."""
        n, m = len(self.xx), len(self.yy)
        within = float(self.xx.sum()) / (n * (n - 1)) + float(self.yy.sum()) / (m * (m - 1))
        return within - 2 * float(self.xy.sum()) / (n * m)

    def error(self) -> _Error:
        """Of the U-statistic; the row means a and b are the influences of the images, with noise of second order."""
        n, m = len(self.xx), len(self.yy)
        a = 2 * (self.xx / (n - 1) - self.xy / m)
        b = 2 * (self.yy / (m - 1) - self.yx / n)
        square_x, square_y, square_xy = self.squares
        second = 2 / (n * (n - 1)) * _centred(square_x / (n * (n - 1)), self.xx / (n - 1), self.xx / (n - 1))
        second += 2 / (m * (m - 1)) * _centred(square_y / (m * (m - 1)), self.yy / (m - 1), self.yy / (m - 1))
        second += 4 / (n * m) * _centred(square_xy / (n * m), self.xy / m, self.yx / n)
        rows = float(a.var()) / n + float(b.var()) / m
        noise = sum(float((c - c.mean()).square().var()) / len(c) ** 3 for c in (a, b))
        value, bias = self.unbiased(), self.biased() - self.unbiased()
        # What the first order per distance is, from the data and, near 0, from equal distributions, where 2 second of
        # `rows` is noise that grows with the value in this proportion. One standard deviation of the value is near.
        near = math.sqrt(second)
        if not (near > 0 and bias > 0 and noise > 0):
            return _Error(0.0, 0.0, math.inf, value)
        slope = (rows - 2 * second + near * 2 * second / bias) / (max(value, 0.0) + near)
        return _Error(second, max(slope, 0.0), 2 * rows**2 / noise, value)


@dataclass(frozen=True)
class _Error:
    """The variance of the unbiased estimate, where the true squared distance is t: second + slope t.

    second: the variance for equal distributions. slope: of the first order, 4 var(witness) / n, which vanishes with t.
    freedom: degrees of freedom of the estimated first order, from the kurtosis of the images' influences.
    """

    second: float
    slope: float
    freedom: float
    value: float

    def std_error(self, more: float = 0.0) -> float:
        """At the estimate itself, with more variance from elsewhere."""
        return math.sqrt(self.second + self.slope * max(self.value, 0.0) + more)

    def interval(self, value: float, more: float = 0.0) -> tuple[float, float] | None:
        """All t with |value - t| <= q sd(t), q of Student's t: a score interval. None for too heavy tails.

        value +- q sd(value) would be wrong near 0: a value too large by chance has too large an error, and conversely.
        """
        if self.freedom < FREEDOM:
            return None
        q, variance = student(self.freedom), self.second + more
        reach = q * math.sqrt(variance)
        half = q * math.sqrt(max(0.0, variance + self.slope * value + (q * self.slope / 2) ** 2))
        middle = value + q * q * self.slope / 2
        return middle - half if value > reach else value - reach, middle + half if value > -reach else value + reach


def _centred(mean_square: float, rows: Tensor, columns: Tensor) -> float:
    """The mean square of a doubly centred kernel matrix, from that of the matrix and its row and column means."""
    return max(0.0, mean_square - float(rows.square().mean() + columns.square().mean() - rows.mean() ** 2))


def _sums(x: Tensor, y: Tensor, kernel: Pairwise, in_x: Tensor | None = None, in_y: Tensor | None = None) -> _Sums:
    """in_x (subsets, N) and in_y (subsets, M), bool: which rows are in each subset; None for no subsets."""
    in_x = x.new_zeros((0, len(x)), dtype=torch.bool) if in_x is None else in_x
    in_y = y.new_zeros((0, len(y)), dtype=torch.bool) if in_y is None else in_y
    xx, diagonal_x, square_x, picked_x = _within(x, kernel, in_x)
    yy, diagonal_y, square_y, picked_y = _within(y, kernel, in_y)
    xy, yx, picked_xy = (xx.new_zeros(size) for size in (len(x), len(y), len(in_x)))
    square_xy = 0.0
    for rows, columns, k in blocks(x, y, kernel):
        xy[rows] += k.sum(1)
        yx[columns] += k.sum(0)
        square_xy += _sum_of_squares(k)
        picked_xy += _picked(k, in_x[:, rows], in_y[:, columns])
    squares = square_x, square_y, square_xy
    return _Sums(xx, yy, xy, yx, diagonal_x, diagonal_y, squares, picked_x + picked_y, picked_xy)


def _within(x: Tensor, kernel: Pairwise, members: Tensor) -> tuple[Tensor, float, float, Tensor]:
    """Row sums and sum of squares off the diagonal, the diagonal's sum, and the sum off the diagonal in each subset."""
    sums, picked = (x.new_zeros(size, dtype=torch.float64) for size in (len(x), len(members)))
    diagonal, squares = 0.0, 0.0
    for rows, columns, k in half_blocks(x, kernel):
        mirrored = 1 if rows == columns else 2
        if rows == columns:
            diagonal += float(k.diagonal().sum())
            k = k.fill_diagonal_(0)
        else:
            sums[columns] += k.sum(0)
        sums[rows] += k.sum(1)
        squares += mirrored * _sum_of_squares(k)
        picked += mirrored * _picked(k, members[:, rows], members[:, columns])
    return sums, diagonal, squares, picked


def _sum_of_squares(k: Tensor) -> float:
    return float(torch.dot(k.ravel(), k.ravel()))


def _picked(k: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """The sum of k over each subset, from which of its rows and which of its columns are in it (subsets, ...)."""
    return ((rows.double() @ k) * columns).sum(1)
