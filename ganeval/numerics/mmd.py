"""The unbiased squared MMD from sums over kernel matrices, and its error."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass
from statistics import fmean as mean

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from ganeval.numerics.intervals import student
from ganeval.numerics.pairwise import STRIP, Centred, slices

Kernel = Callable[[Centred, slice, Centred, slice, Tensor], Tensor]
"""(x, rows, y, columns, their products) -> k(x[rows], y[columns]), float64."""
FREEDOM = 30
"""Degrees of freedom of the estimated variance under which no interval is given."""
DIGITS = 1e-14
"""Share of the second order that a kernel would have about 0: one that varies less than its rounding shows none."""
SPARSE = 1 / 5
"""Share of the images in a subset under which adding up their rows of a kernel costs less than a matrix product."""
TRACE = 4
"""Found by coverage at 32 and 64 features: without it intervals of small distances are too short."""


@dataclass(frozen=True)
class Sums:
    """Row sums, diagonals and sums of squares of the kernel matrices within x, within y, and across, less `levels`.

    levels: one entry of each matrix, subtracted from all of it: sums of a kernel that hardly varies lose no digits.
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
    levels: tuple[float, float, float]
    picked_within: Tensor
    picked_across: Tensor

    def level(self) -> float:
        """What an estimate from these sums lacks."""
        of_x, of_y, across = self.levels
        return of_x + of_y - 2 * across

    def biased(self) -> float:
        """The V-statistic: means over all pairs, those of an image with itself too."""
        n, m = len(self.xx), len(self.yy)
        whole_x, whole_y = float(self.xx.sum()) + self.diagonal_x, float(self.yy.sum()) + self.diagonal_y
        return whole_x / n**2 + whole_y / m**2 - 2 * float(self.xy.sum()) / (n * m) + self.level()

    def unbiased(self) -> float:
        """The U-statistic: pairs of different images only."""
        n, m = len(self.xx), len(self.yy)
        within = float(self.xx.sum()) / (n * (n - 1)) + float(self.yy.sum()) / (m * (m - 1))
        return within - 2 * float(self.xy.sum()) / (n * m) + self.level()

    def influences(self) -> tuple[Tensor, Tensor]:
        """Of each x (N,) and each y (M,) on the U-statistic, but for a constant: 2 (E k(x, x') - E k(x, y)).

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

    def error(self, through_kernel: Tensor | float = 0.0) -> Error:
        """Of the U-statistic; the row means a and b are the influences of the images, with noise of second order.

        through_kernel: the influence of each y (M,) that it has by setting the kernel.
        """
        n, m = len(self.xx), len(self.yy)
        (a, b), second = self.influences(), sum(self.second_order())
        b = b + through_kernel
        rows = float(a.var()) / n + float(b.var()) / m
        noise = sum(float((c - c.mean()).square().var()) / len(c) ** 3 for c in (a, b))
        level_x, level_y, level_xy = self.levels
        uncentred = 2 * level_x**2 / (n * (n - 1)) + 2 * level_y**2 / (m * (m - 1)) + 4 * level_xy**2 / (n * m)
        lost = second <= DIGITS * uncentred
        freedom = 0.0 if lost else 2 * rows**2 / noise if noise else math.inf
        return Error(rows - 2 * second, second, self.biased() - self.unbiased(), freedom, self.unbiased())


@dataclass(frozen=True)
class Error:
    """The variance of the unbiased estimate, where the true squared distance is t: second + slope t.

    first: the variance of first order, 4 var(witness) / n, estimated from the images' influences less their noise, so
    that it may be below 0. second: the variance for equal distributions. bias: of the V-statistic.
    freedom: degrees of freedom of the estimated first order, from the kurtosis of the images' influences; 0 where
    rounding hides them. value: the estimate.
    """

    first: float
    second: float
    bias: float
    freedom: float
    value: float

    @classmethod
    def from_subsets(cls, errors: Sequence[Error], times: float) -> Error:
        """Of the estimate from sets `times` as large as the subsets whose errors these are."""
        first, second, bias, freedom, value = (mean(part) for part in zip(*map(astuple, errors), strict=True))
        return cls(first / times, second / times**2, bias / times, freedom * min(len(errors), times), value)

    @property
    def slope(self) -> float:
        """The first order, which vanishes with t, per t.

        From the data, and near 0, within about one standard deviation of the value, from equal distributions, whose
        noise in the influences is 2 second for a V-statistic of `bias`; the many small eigenvalues in a bias of over
        TRACE standard deviations say little about the distance, and are left out.
        """
        near = math.sqrt(self.second)
        bias = min(self.bias, TRACE * near)
        slope = max(0.0, self.first + (near * 2 * self.second / bias if bias > 0 else 0.0))
        return slope / (max(self.value, 0.0) + near) if self.value > 0 or near else 0.0

    def std_error(self, more: float = 0.0) -> float:
        """At the estimate itself, with more variance from elsewhere."""
        return math.sqrt(self.second + self.slope * max(self.value, 0.0) + more)

    def interval(self, value: float, more: float = 0.0) -> tuple[float, float] | None:
        """All t with |value - t| <= q sd(t), q of Student's t: a score interval. None for too heavy tails.

        value +- q sd(value) would be wrong near 0: a value too large by chance has too large an error, and conversely.
        """
        if self.freedom < FREEDOM:
            return None
        q, variance, slope = student(self.freedom), self.second + more, self.slope
        reach = q * math.sqrt(variance)
        half = q * math.sqrt(max(0.0, variance + slope * value + (q * slope / 2) ** 2))
        middle = value + q * q * slope / 2
        return middle - half if value > reach else value - reach, middle + half if value > -reach else value + reach


def _centred(mean_square: float, rows: Tensor, columns: Tensor) -> float:
    """The mean square of a doubly centred kernel matrix, from that of the matrix and its row and column means."""
    return max(0.0, mean_square - float(rows.square().mean() + columns.square().mean() - rows.mean() ** 2))


class Tally:
    """Adds up the kernel matrices of one pass; in_x (subsets, N) and in_y, bool: which rows each subset has."""

    sides = (0, 1)

    def __init__(self, x: Centred, y: Centred, kernel: Kernel, in_x: Tensor | None = None, in_y: Tensor | None = None):
        self.x, self.y, self.kernel = x, y, kernel
        zeros = x.norms.new_zeros
        self.members = [zeros(0, len(z.rows)).bool() if m is None else m for z, m in ((x, in_x), (y, in_y))]
        self.rows, self.cross = ([zeros(len(z.rows)) for z in (x, y)] for _ in range(2))
        self.diagonals, self.squares = [0.0, 0.0], [0.0, 0.0, 0.0]
        self.levels: list[float | None] = [None, None, None]
        self.picked_within, self.picked_across = (zeros(len(self.members[0])) for _ in range(2))

    def within(self, side: int, rows: slice, columns: slice, products: Tensor) -> None:
        one, sums, members = (self.x, self.y)[side], self.rows[side], self.members[side]
        in_columns = members[:, columns].double()
        mirrored = 1 if rows == columns else 2
        for some, k in self._strips(side, one, rows, one, columns, products):
            if rows == columns:
                itself = k.diagonal(some.start - columns.start)
                self.diagonals[side] += float(itself.sum())
                itself.zero_()
            else:
                sums[columns] += _column_sums(k)
            sums[some] += k.sum(1)
            self.squares[side] += mirrored * _sum_of_squares(k)
            self.picked_within += mirrored * _picked(k, members[:, some], in_columns)

    def across(self, rows: slice, columns: slice, products: Tensor) -> None:
        (of_x, of_y), (in_x, in_y) = self.cross, self.members
        in_columns = in_y[:, columns].double()
        for some, k in self._strips(2, self.x, rows, self.y, columns, products):
            of_x[some] += k.sum(1)
            of_y[columns] += _column_sums(k)
            self.squares[2] += _sum_of_squares(k)
            self.picked_across += _picked(k, in_x[:, some], in_columns)

    def _strips(
        self, matrix: int, x: Centred, rows: slice, y: Centred, columns: slice, products: Tensor
    ) -> Iterator[tuple[slice, Tensor]]:
        """The kernel of a block, less the matrix's level, a few rows at a time, which stay in the cache."""
        for some, part in zip(slices(rows.stop, rows.start, STRIP), products.split(STRIP), strict=True):
            k = self.kernel(x, some, y, columns, part)
            level = self.levels[matrix]
            if level is None:
                level = self.levels[matrix] = float(k[0, -1])  # of two images, not of one with itself
            yield some, k.sub_(level)

    def sums(self) -> Sums:
        (xx, yy), (xy, yx), (on_x, on_y), (x, y, across) = self.rows, self.cross, self.diagonals, self.squares
        level_x, level_y, level_xy = (level or 0.0 for level in self.levels)
        squares, levels = (x, y, across), (level_x, level_y, level_xy)
        return Sums(xx, yy, xy, yx, on_x, on_y, squares, levels, self.picked_within, self.picked_across)


def _column_sums(k: Tensor) -> Tensor:
    """As k.sum(0), in a third of the time."""
    return k.new_ones(len(k)) @ k


def _sum_of_squares(k: Tensor) -> float:
    return float(torch.dot(k.ravel(), k.ravel()))


def _picked(k: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """The sum of k over each subset (S,), of whose rows it has those in (S, N), bool, and columns in (S, M), 0 or 1."""
    if rows.double().mean() < SPARSE:
        starts = rows.sum(1).cumsum(0) - rows.sum(1)
        of_rows = embedding_bag(rows.nonzero()[:, 1], k, starts, mode="sum")
    else:
        of_rows = rows.double() @ k
    return of_rows.mul_(columns).sum(1)
