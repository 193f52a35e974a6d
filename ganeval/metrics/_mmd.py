"""The unbiased squared MMD from sums over kernel matrices, and its error."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganeval.intervals import student
from ganeval.metrics._pairwise import Pairwise, blocks, half_blocks

FREEDOM = 30
"""Degrees of freedom of the estimated variance under which no interval is given."""
TRACE = 4
"""Found by coverage at 32 and 64 features: without it intervals of small distances are too short."""


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

    def error(self) -> Error:
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
        # The first order per distance: from the data, and near 0, within about one standard deviation of the value,
        # from equal distributions, whose noise in `rows` is 2 second for a V-statistic of `bias`; the many small
        # eigenvalues in a bias of over TRACE standard deviations say little about the distance, and are left out.
        near = math.sqrt(second)
        bias = min(bias, TRACE * near)
        slope = max(0.0, rows - 2 * second + (near * 2 * second / bias if bias > 0 else 0.0))
        slope = slope / (max(value, 0.0) + near) if slope else 0.0
        return Error(second, slope, 2 * rows**2 / noise if noise else math.inf, value)


@dataclass(frozen=True)
class Error:
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


def sums_of(x: Tensor, y: Tensor, kernel: Pairwise, in_x: Tensor | None = None, in_y: Tensor | None = None) -> Sums:
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
