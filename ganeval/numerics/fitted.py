"""The Gaussian that fits a set of features, its halves, and the trace term of the Fréchet distance between two."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property, reduce
from operator import add

import numpy as np
import torch
from torch import Tensor
from torch.linalg import cholesky_ex, eigh, eigvalsh, solve_triangular, svdvals

from ganeval.numerics.moments import COLUMNS, Running, in_range, mean, rounded, scatter
from ganeval.types import Moments

SVD_LIMIT = 1024
"""Up to this size singular values are affordable; they lose no digits to a Gram matrix's square."""
HALVINGS = 2
"""Random halvings of a set in quarters, of the three that there are, whose distances are averaged: the second takes a
quarter off the extrapolation's variance of second order, the third would take a ninth."""
THIN = 1e-7
"""A variance below this share of the largest feature's shows the rounding of float32 products, whose root counts."""


class Fitted:
    """A set of features and the Gaussian that fits it: rows (N, D), or moments alone, which are then taken as exact.

    which: the rows' numbers, where they are some of the data; they are gathered only where they are read.
    parts: sets of rows that together are this one; its moments are then made from theirs, once.
    """

    def __init__(self, data: Tensor | Moments, which: Tensor | None = None, parts: Iterable[Fitted] = ()) -> None:
        self.data, self.which, self.parts = data, which, parts

    @classmethod
    def in_quarters(cls, data: Tensor | Moments, random: np.random.RandomState, halved: bool = True) -> Fitted:
        """Of four random quarters, whose products are taken once for the whole and all `halvings`, if these follow."""
        if isinstance(data, Moments) or len(data) < 4:
            return cls(data)
        n = len(data)
        order = torch.from_numpy(random.permutation(n)).to(data.device)
        # Cut so that two quarters and the other two differ by a row at most, whichever two of the first three they are.
        first, middle = n // 4, n // 2
        cuts = order.tensor_split([first, middle, 2 * middle - first])
        parts = (cls(data, which) for which in cuts)
        # Each holds D x D numbers: without halvings one at a time.
        return cls(data, parts=tuple(parts) if halved else parts)

    @property
    def rows(self) -> Tensor | None:
        return None if isinstance(self.data, Moments) else self._taken(self.data)

    def _taken(self, data: Tensor) -> Tensor:
        return data if self.which is None else data[self.which]

    @property
    def exact(self) -> bool:
        """Whether it is moments alone."""
        return isinstance(self.data, Moments)

    @property
    def n(self) -> int | None:
        return self.data.n if isinstance(self.data, Moments) else len(self.data if self.which is None else self.which)

    @property
    def dim(self) -> int:
        return len(self.data.mean) if isinstance(self.data, Moments) else self.data.shape[1]

    @property
    def few(self) -> bool:
        """Whether there are fewer images than features, so that the rows are a smaller root than the covariance's."""
        return not self.exact and self.n is not None and self.n < self.dim

    @property
    def moments(self) -> Moments:
        """Of float32 rows by products in float64 where those in float32 would hide that the covariance is singular."""
        return self.data if isinstance(self.data, Moments) else self._factored[0]

    @property
    def lower(self) -> Tensor | None:
        """Cholesky's factor of the covariance, None where that is singular."""
        return self._factored[1]

    @cached_property
    def _factored(self) -> tuple[Moments, Tensor | None]:
        """The moments and the factor.

        The rounding of float32 products is variance in directions that have none, as images repeated by a collapsed
        generator leave many: where there are such, products are taken in float64.
        """
        data = self.data
        if isinstance(data, Moments):
            found = data
        elif self.parts:
            found = reduce(add, (part.sums for part in self.parts)).moments()
        else:
            found = Running.of(self._taken(data)).moments()
        factor, failed = cholesky_ex(found.cov)
        if isinstance(data, Tensor) and rounded(data) and (failed or not in_range(found) or _thin(factor, found.cov)):
            found = Running.of(self._taken(data), torch.float64).moments()
            factor, failed = cholesky_ex(found.cov)
        return found, None if failed else factor

    @cached_property
    def sums(self) -> Running:
        """Of the rows, kept for the sets that this one is a part of."""
        if isinstance(self.data, Moments):
            raise TypeError("moments have no rows to sum")
        return Running.of(self._taken(self.data))

    @cached_property
    def root(self) -> Tensor:
        """A matrix R (K, D) with R'R the covariance, of as few rows as there are: the centred rows where N < D.

        Else Cholesky's, or from the eigenvectors where the covariance is singular.
        """
        if isinstance(self.data, Tensor) and self.few:
            rows = self._taken(self.data).double()
            return (rows - rows.mean(0)) / (len(rows) - 1) ** 0.5
        if self.lower is not None:
            return self.lower.T
        values, vectors = eigh(self.moments.cov)
        # Negative eigenvalues of a covariance are rounding; their true value is zero.
        return values.clamp(min=0).sqrt()[:, None] * vectors.T

    def centre_and_variance(self) -> tuple[Tensor, float]:
        """The mean (D,), and the sum of the variances."""
        if isinstance(self.data, Tensor) and self.few:
            return mean(self._taken(self.data)), float(self.root.square().sum())
        return self.moments.mean, float(self.moments.cov.trace())

    def halvings(self) -> Iterator[tuple[Fitted, Fitted]]:
        """HALVINGS times a random half and the other half, of a set in quarters; exact moments twice."""
        if isinstance(self.data, Moments):
            yield from [(self, self)] * HALVINGS
            return
        a, b, c, d = self.parts
        for one, other in (((a, b), (c, d)), ((a, c), (b, d))):
            yield self._of(one), self._of(other)

    def _of(self, parts: tuple[Fitted, ...]) -> Fitted:
        return Fitted(self.data, torch.cat([part.which for part in parts if part.which is not None]), parts)


def _thin(factor: Tensor, cov: Tensor) -> bool:
    """Whether the variance in some direction is next to nothing, by inverse iteration: what is so small stands out."""
    vector = torch.from_numpy(np.random.RandomState(0).randn(len(cov), 1)).to(cov.device)
    for _ in range(2):
        # Of one column `cholesky_solve` takes several times as long.
        vector = solve_triangular(factor, vector / vector.norm(), upper=False)
        vector = solve_triangular(factor.T, vector, upper=True)
    return bool(1 / vector.norm() <= THIN * cov.diagonal().max())


def trace_of_root_product(x: Fitted, y: Fitted) -> float:
    """tr (S S_r)^(1/2): the sum of the singular values of A B', from roots A (K, D) and B (L, D) of S and S_r.

    Those are the square roots of the eigenvalues of S S_r, which is what scipy's sqrtm is used for elsewhere;
    no matrix square root is taken here, nothing becomes complex, and singular covariances are no special case.
    """
    large = not (x.few or y.few) and x.dim > SVD_LIMIT
    one, other = (y, x) if large and x.lower is None else (x, y)
    if large and one.lower is not None:
        gram = congruent(one.lower, other.moments.cov)
    else:
        product = x.root @ y.root.T
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
