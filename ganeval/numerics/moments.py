"""Mean and covariance of features, in float64."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ganeval.types import Moments

ROWS = 1024
"""Rows whose products are summed in one matrix product."""
FEW = 128
"""Rows, or pairs of them, in float64 at a time, so that they stay in the processor's cache."""
FLOAT64 = 512
"""Features up to which products are in float64 in any case: they cost little there, and the order in which rows come or
are cut then moves FID by 1e-14 of itself at most."""
COLUMNS = 256
"""Columns of a symmetric product that are computed at a time, from the diagonal down."""


def moments(rows: Tensor) -> Moments:
    """Mean (D,) and unbiased covariance (D, D) of rows (N, D), accumulated in float64."""
    found = Running.of(rows).moments()
    return Running.of(rows, torch.float64).moments() if rounded(rows) and not in_range(found) else found


def rounded(rows: Tensor) -> bool:
    """Whether products of such rows are in float32, so that float64 could tell more."""
    return rows.dtype != torch.float64 and rows.shape[1] > FLOAT64


def in_range(found: Moments) -> bool:
    """Whether products of float32 neither overflow nor vanish in moments like these."""
    return 1e-25 < float(found.cov.diagonal().max()) < 1e30


def mean(rows: Tensor) -> Tensor:
    """(D,), float64."""
    return torch.stack([few.double().sum(0) for few in rows.split(FEW)]).sum(0) / len(rows)


def scatter(rows: Tensor, mean: Tensor | None = None, dtype: torch.dtype | None = None) -> Tensor:
    """sum (x - mean)(x - mean)', float64 (D, D); without a mean, sum x x'. dtype: of the products.

    Rows are centred in float64. Of float32 rows of more than FLOAT64 features the products of ROWS at a time are then
    taken in float32, which costs half, and summed in float64: their rounding is independent from block to block, and
    moves FID by a few 1e-9 of itself (but see `Fitted`). Only the triangle from the diagonal down is multiplied out.
    """
    dtype = dtype or (rows.dtype if rounded(rows) else torch.float64)
    total = torch.zeros(rows.shape[1], rows.shape[1], dtype=torch.float64, device=rows.device)
    for block in rows.split(ROWS):
        few = block.split(FEW)
        centred = block.to(dtype) if mean is None else torch.cat([(x.double() - mean).to(dtype) for x in few])
        for i in range(0, len(total), COLUMNS):
            total[i:, i : i + COLUMNS] += centred[:, i:].T @ centred[:, i : i + COLUMNS]
    for i in range(0, len(total), COLUMNS):
        total[i : i + COLUMNS, i + COLUMNS :] = total[i + COLUMNS :, i : i + COLUMNS].T
    return total


@dataclass(frozen=True)
class Running:
    """Moments of rows that come a batch at a time: n, the mean (D,), and the scatter about it (D, D), float64."""

    n: int
    mean: Tensor
    scatter: Tensor

    @classmethod
    def of(cls, rows: Tensor, dtype: torch.dtype | None = None) -> Running:
        """As `scatter`; give float64 rows where the way rows are cut into batches shall move no digit."""
        middle = mean(rows)
        return cls(len(rows), middle, scatter(rows, middle, dtype))

    def __add__(self, other: Running) -> Running:
        """Both sets as one (Chan, Golub and LeVeque, 1979): nothing cancels, however far the means are from 0."""
        n, shift = self.n + other.n, other.mean - self.mean
        together = (self.scatter + other.scatter).addr_(shift, shift, alpha=self.n * other.n / n)
        return Running(n, self.mean + shift * (other.n / n), together)

    def moments(self) -> Moments:
        return Moments(self.mean, self.scatter / (self.n - 1), self.n)
