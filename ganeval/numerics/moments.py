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
THIN = 1e-7
"""A variance below this share of the largest shows the rounding of float32 products, whose root the distance takes."""


def moments(rows: Tensor) -> Moments:
    """Mean (D,) and unbiased covariance (D, D) of rows (N, D), accumulated in float64."""
    found = Running.of(rows).moments()
    in_range = 1e-25 < float(found.cov.diagonal().max()) < 1e30
    # Beyond, products of float32 overflow or vanish.
    return found if in_range or rows.dtype == torch.float64 else Running.of(rows, torch.float64).moments()


def factored(rows: Tensor) -> tuple[Moments, Tensor | None]:
    """Moments, and Cholesky's factor of the covariance, None where it is singular.

    The rounding of float32 products is variance in directions that have none, as images repeated by a collapsed
    generator leave many: where the factor shows such, products are taken in float64.
    """
    data = moments(rows)
    factor, failed = cholesky_ex(data.cov)
    if rows.dtype == torch.float32 and (failed or _thin(factor, data.cov)):
        data = Running.of(rows, torch.float64).moments()
        factor, failed = cholesky_ex(data.cov)
    return data, None if failed else factor


def _thin(factor: Tensor, cov: Tensor) -> bool:
    """Whether what a feature varies beside those before it, the factor's squared diagonal, is next to nothing."""
    return bool(factor.diagonal().min() ** 2 <= THIN * cov.diagonal().max())


def mean(rows: Tensor) -> Tensor:
    """(D,), float64."""
    return torch.stack([block.double().sum(0) for block in rows.split(ROWS)]).sum(0) / len(rows)


def scatter(rows: Tensor, mean: Tensor | None = None, dtype: torch.dtype | None = None) -> Tensor:
    """sum (x - mean)(x - mean)', float64 (D, D); without a mean, sum x x'. dtype: of the products, else the rows'.

    Rows are centred in float64. Of float32 rows the products of ROWS at a time are then taken in float32, which costs
    half, and summed in float64: their rounding is independent from block to block, and moves FID by a few 1e-9 of
    itself (but see `factored`). Only the triangle from the diagonal down is multiplied out.
    """
    total = torch.zeros(rows.shape[1], rows.shape[1], dtype=torch.float64, device=rows.device)
    for block in rows.split(ROWS):
        centred = (block if mean is None else block.double() - mean).to(dtype or rows.dtype)
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
        between = torch.outer(shift, shift) * (self.n * other.n / n)
        return Running(n, self.mean + shift * (other.n / n), self.scatter + other.scatter + between)

    def moments(self) -> Moments:
        return Moments(self.mean, self.scatter / (self.n - 1), self.n)


def root(data: Tensor | Moments) -> Tensor:
    """A matrix R (K, D) with R'R the covariance, of as few rows as there are: the centred rows where N < D.

    Else Cholesky's, or from the eigenvectors where the covariance is singular.
    """
    if isinstance(data, Moments):
        factor, failed = cholesky_ex(data.cov)
        found = None if failed else factor
    elif len(data) < data.shape[1]:
        rows = data.double()
        return (rows - rows.mean(0)) / (len(rows) - 1) ** 0.5
    else:
        data, found = factored(data)
    if found is not None:
        return found.T
    values, vectors = eigh(data.cov)
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
