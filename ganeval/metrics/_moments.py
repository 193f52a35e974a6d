"""Mean and covariance of features, and the trace term of the Fréchet distance between two of them, in float64."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.linalg import cholesky_ex, eigh, eigvalsh, svdvals

from ganeval.types import Moments

ROWS = 1024
"""Rows that are widened to float64 at a time."""
COLUMNS = 256
"""Columns of a symmetric product that are computed at a time, from the diagonal down."""
SVD_LIMIT = 1024
"""Up to this size singular values are affordable; they lose no digits to a Gram matrix's square."""


def moments(rows: Tensor) -> Moments:
    """Mean (D,) and unbiased covariance (D, D) of rows (N, D), accumulated in float64."""
    return Running.of(rows).moments()


def mean(rows: Tensor) -> Tensor:
    """(D,), float64."""
    return torch.stack([block.double().sum(0) for block in rows.split(ROWS)]).sum(0) / len(rows)


def scatter(rows: Tensor, mean: Tensor | None = None) -> Tensor:
    """sum (x - mean)(x - mean)', float64 (D, D); without a mean, sum x x'.

    Rows are centred in float64. Of float32 rows the products of ROWS at a time are then taken in float32, which costs
    half, and summed in float64: their rounding is independent from block to block, and moves FID by a few 1e-9 of
    itself. Only the triangle from the diagonal down is multiplied out.
    """
    total = torch.zeros(rows.shape[1], rows.shape[1], dtype=torch.float64, device=rows.device)
    for block in rows.split(ROWS):
        centred = block if mean is None else (block.double() - mean).to(rows.dtype)
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
    def of(cls, rows: Tensor) -> Running:
        """Of float32 rows as `moments`; give float64 where the way rows are cut into batches shall move no digit."""
        middle = mean(rows)
        return cls(len(rows), middle, scatter(rows, middle))

    def __add__(self, other: Running) -> Running:
        """Both sets as one (Chan, Golub and LeVeque, 1979): nothing cancels, however far the means are from 0."""
        n, shift = self.n + other.n, other.mean - self.mean
        between = torch.outer(shift, shift) * (self.n * other.n / n)
        return Running(n, self.mean + shift * (other.n / n), self.scatter + other.scatter + between)

    def moments(self) -> Moments:
        return Moments(self.mean, self.scatter / (self.n - 1), self.n)


def root(data: Tensor | Moments) -> Tensor:
    """A matrix R (K, D) with R'R the covariance, of as few rows as there are: the centred rows where N < D."""
    if isinstance(data, Tensor):
        if len(data) < data.shape[1]:
            rows = data.double()
            return (rows - rows.mean(0)) / (len(rows) - 1) ** 0.5
        data = moments(data)
    return cov_root(data.cov)


def cov_root(cov: Tensor) -> Tensor:
    """A matrix R (D, D) with R'R = cov: Cholesky's, or from the eigenvectors where cov is singular."""
    factor, failed = cholesky_ex(cov)
    if not failed:
        return factor.T
    values, vectors = eigh(cov)
    # Negative eigenvalues of a covariance are rounding; their true value is zero.
    return values.clamp(min=0).sqrt()[:, None] * vectors.T


def trace_of_root_product(a: Tensor, b: Tensor) -> float:
    """tr (S_a S_b)^(1/2) from roots a (K, D) and b (L, D): the sum of the singular values of a b'.

    Those are the square roots of the eigenvalues of S_a S_b, which is what scipy's sqrtm is used for elsewhere;
    no matrix square root is taken here, nothing becomes complex, and singular covariances are no special case.
    """
    product = a @ b.T
    if min(product.shape) <= SVD_LIMIT:
        return float(svdvals(product).sum())
    gram = scatter(product.T if product.shape[0] <= product.shape[1] else product)
    return float(eigvalsh(gram).clamp(min=0).sqrt().sum())


def congruent(lower: Tensor, cov: Tensor) -> Tensor:
    """The lower triangle of L' S L, for a lower triangular L: a third of the two products' work."""
    result = torch.zeros_like(cov)
    for i in range(0, len(cov), COLUMNS):
        result[i:, i : i + COLUMNS] = lower[i:, i:].T @ (cov[i:, i:] @ lower[i:, i : i + COLUMNS])
    return result
