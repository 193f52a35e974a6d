"""Maximum mean discrepancies: KID, the Gaussian MMD, CMMD."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ganeval.errors import GanevalError
from ganeval.intervals import normal
from ganeval.metrics._inputs import Array, pair
from ganeval.metrics._pairwise import Pairwise, blocks, half_blocks, squared_distances, unit
from ganeval.types import Estimate

BIASED = "the biased estimate is above 0 even for equal distributions"


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
    kernel = polynomial(degree, 1 / x.shape[1] if gamma is None else gamma, coef)
    # Which images are in which subset; drawn in turn, so that a seed gives torch-fidelity's subsets.
    in_x, in_y = np.zeros((subsets, len(x)), bool), np.zeros((subsets, len(y)), bool)
    random = np.random.RandomState(seed)
    for a, b in zip(in_x, in_y, strict=True):
        a[random.choice(len(x), size, replace=False)] = True
        b[random.choice(len(y), size, replace=False)] = True
    full = kernel_sums(x, y, kernel, torch.from_numpy(in_x).to(x.device), torch.from_numpy(in_y).to(x.device))
    values = (full.picked_within / (size * (size - 1)) - 2 * full.picked_across / size**2).cpu().numpy()
    spread = float(np.var(values, ddof=1)) / subsets if subsets > 1 else 0.0
    details: dict[str, float | str] = {
        "subset_std": float(np.std(values)),
        "full_unbiased": full.unbiased(),
        "full_unbiased_std_error": math.sqrt(full.variance()),
    }
    if size < subset_size:
        details["warning"] = f"subsets of {size} instead of {subset_size}, for want of images: not the published KID"
    value, std_error = float(np.mean(values)), math.sqrt(full.variance() + spread)
    return Estimate(value, std_error, normal(value, std_error), len(x), len(y), details)


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
    square = squared_bandwidth(x, y, bandwidth, sigma)
    sums = kernel_sums(x, y, gaussian(square))
    details = {"bandwidth": math.sqrt(square)}
    if unbiased:
        value, std_error = sums.unbiased(), math.sqrt(sums.variance())
        return Estimate(value, std_error, normal(value, std_error), len(x), len(y), details)
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
    sums = kernel_sums(x, y, unit_gaussian(sigma * sigma))
    details = {
        "unbiased": 1000 * sums.unbiased(),
        "unbiased_std_error": 1000 * math.sqrt(sums.variance()),
        "no_interval": BIASED,
    }
    return Estimate(1000 * sums.biased(), None, None, len(x), len(y), details)


def polynomial(degree: int, gamma: float, coef: float) -> Pairwise:
    """(gamma x.y + coef)^degree."""
    # The product in the features' own precision: in float32 it costs half, and its rounding averages out.
    return lambda a, b: (a @ b.T).double().mul_(gamma).add_(coef).pow_(degree)


def gaussian(bandwidth_squared: float) -> Pairwise:
    """exp(-||x - y||^2 / (2 b^2))."""
    return lambda a, b: squared_distances(a, b).div_(-2 * bandwidth_squared).exp_()


def unit_gaussian(bandwidth_squared: float) -> Pairwise:
    """The Gaussian kernel of x / ||x|| and y / ||y||, CMMD's."""
    kernel = gaussian(bandwidth_squared)
    return lambda a, b: kernel(unit(a), unit(b))


def squared_bandwidth(x: Tensor, y: Tensor, rule: str, sigma: float) -> float:
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
class Sums:
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

    def influences(self) -> tuple[Tensor, Tensor]:
        """Of each x (N,) and each y (M,) on the U-statistic, not centred: 2 (E k(x, x') - E k(x, y)), from row means.

        The V-statistic has the same but for 1 / N of itself.
        """
        n, m = len(self.xx), len(self.yy)
        return 2 * (self.xx / (n - 1) - self.xy / m), 2 * (self.yy / (m - 1) - self.yx / n)

    def second_order(self) -> tuple[float, float]:
        """The U-statistic's variance of second order: the part in which x takes part, and the rest."""
        n, m = len(self.xx), len(self.yy)
        square_x, square_y, square_xy = self.squares
        within_x = 2 / (n * (n - 1)) * _centred(square_x / (n * (n - 1)), self.xx / (n - 1), self.xx / (n - 1))
        within_y = 2 / (m * (m - 1)) * _centred(square_y / (m * (m - 1)), self.yy / (m - 1), self.yy / (m - 1))
        across = 4 / (n * m) * _centred(square_xy / (n * m), self.xy / m, self.yx / n)
        return within_x + across, within_y

    def variance(self) -> float:
        """Of the U-statistic: the variance of the influences, less the second order once.

        The row means are estimated, and their noise has twice the second-order variance that the U-statistic has.
        """
        a, b = self.influences()
        first, second = float(a.var()) / len(a) + float(b.var()) / len(b), sum(self.second_order())
        return max(first - second, second, 0.0)


def _centred(mean_square: float, rows: Tensor, columns: Tensor) -> float:
    """The mean square of a doubly centred kernel matrix, from that of the matrix and its row and column means."""
    return max(0.0, mean_square - float(rows.square().mean() + columns.square().mean() - rows.mean() ** 2))


def kernel_sums(x: Tensor, y: Tensor, kernel: Pairwise, in_x: Tensor | None = None, in_y: Tensor | None = None) -> Sums:
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
    return Sums(xx, yy, xy, yx, diagonal_x, diagonal_y, squares, picked_x + picked_y, picked_xy)


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
