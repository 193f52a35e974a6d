"""The Fréchet distance to first order in the two distributions, and what Gaussians add to its bias and variance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.linalg import cholesky_ex, eigh, eigvalsh, solve_triangular

from ganeval.numerics.fitted import Fitted, congruent
from ganeval.numerics.moments import ROWS
from ganeval.types import Moments

ROUNDING = 1e-10
"""Standard deviation over mean, or difference of means, of one constant: no float32 feature varies so little."""
INFLUENCES = 2048
"""Images whose influence on the distance is computed, for its variance."""


@dataclass(frozen=True)
class Linear:
    """The distance and its first order in the two distributions.

    fake, real: the influence of each image (of some, where there are many), dF = 2 (m - m_r).dm + tr((I - T) dS), T
    the optimal transport map between the Gaussians (and its inverse for the real side), centred; real is None where
    the reference is exact.
    n, m: the numbers of images, m infinite where the reference is exact.
    roots: the square roots of the eigenvalues of S S_r.
    """

    distance: float
    fake: Tensor
    real: Tensor | None
    n: float
    m: float
    roots: Tensor

    def variance(self) -> float:
        """Of the distance, to first order."""
        return float(self.fake.var()) / self.n + (0 if self.real is None else float(self.real.var()) / self.m)

    def rate(self) -> float:
        """1 / N + 1 / M, the order of the bias."""
        return 1 / self.n + 1 / self.m

    def second_order(self) -> tuple[float, float]:
        """The bias over `rate`, and the variance of the terms of second order over `rate` squared, of Gaussians.

        In the basis of the eigenvectors of S S_r, r their roots, these terms are

        Q = sum_ab E_ab^2 / (2 r_a r_b (r_a + r_b)), where E_ab, the error of a covariance, has variance r_a^2 r_b^2 / N
        (twice that for a = b), with the real side's error on top.
        """
        a, b = self.roots[:, None], self.roots[None, :]
        weights = a * b / (a + b)
        return float(weights.sum() + weights.diagonal().sum()) / 2, 2 * float(weights.square().triu().sum())

    def higher_bias(self) -> float:
        """The bias of order (1 / N - 1 / M)^2, of Gaussians, which the extrapolation doubles and turns round.

        Where the reference is exact, tr M^(1/2) is off as X = (M + N)^(1/2) - M^(1/2) is, N = M^(1/2) E M^(1/2), E the
        error of a Wishart matrix. With R = M^(1/2), X = X1 + X2 + ... solves R X + X R + X^2 = N order by order; here
        are the means of tr X3, from the third moments of E, and of tr X4, from pairs of its second ones, without terms
        that are smaller by 1 / D. For equal variances that is the third term of the mean root of a Marchenko-Pastur
        law. That both sides' errors together come to a square of a difference was found by simulation.
        """
        if self.n == self.m:
            return 0.0
        r = self.roots
        k = 1 / (r[:, None] + r)
        first = (k * torch.outer(r, r)).square()  # the variances of X1, times N
        rows, squares = first.sum(1), k.square()
        weighted = k * first
        third = (r[:, None] * r.square() * squares * ((k * r.square()) @ k)).sum()
        pairs = weighted.sum(1) * rows / (2 * r) + weighted @ (rows / (2 * r))
        pairs += (weighted * (first @ k)).sum(0) + (weighted * (k @ first)).sum(1)
        fourth = (squares * (first @ first)).sum(1) + (rows / (2 * r)).square() + 2 * pairs
        return -2 * float(third - (fourth / (2 * r)).sum()) * (1 / self.n - 1 / self.m) ** 2


def linearise(x: Fitted, y: Fitted) -> Linear | None:
    """With S = L L' and L' S_r L = V diag(w) V': T = L^-T V w^(1/2) V' L^-1, and T^-1 = L V w^(-1/2) V' L'.

    x has rows; the moments of y may be exact. None where a covariance is singular, so that T does not exist, but for
    features that are one constant in both sets, such as dead units: they add nothing to any term, and are left out.
    """
    pair, fakes, reals = _pair(x, y), x.rows, y.rows
    if pair is None or fakes is None:
        return None
    w, v = eigh(pair.product)
    if not _full_rank(w):
        return None
    shift, roots = pair.fake.mean - pair.real.mean, w.sqrt()
    to_real = solve_triangular(pair.lower.T, v, upper=True) * roots.sqrt()
    to_fake = pair.lower @ v / roots.sqrt()
    fake = _influence(fakes, pair.columns, pair.fake.mean, shift, to_real)
    real = None if reals is None else _influence(reals, pair.columns, pair.real.mean, -shift, to_fake)
    return Linear(pair.distance(w), fake, real, len(fakes), math.inf if reals is None else len(reals), roots)


def regular_distance(x: Fitted, y: Fitted) -> float | None:
    """The distance alone, where `linearise` has a result."""
    pair = _pair(x, y)
    if pair is None:
        return None
    w = eigvalsh(pair.product)
    return pair.distance(w) if _full_rank(w) else None


@dataclass(frozen=True)
class _Pair:
    """Two Gaussians without the features that are one constant in both, and Cholesky's factor of the fakes' S."""

    fake: Moments
    real: Moments
    lower: Tensor
    columns: Tensor

    @property
    def product(self) -> Tensor:
        """The lower triangle of L' S_r L, whose eigenvalues w are those of S S_r."""
        return congruent(self.lower, self.real.cov)

    def distance(self, w: Tensor) -> float:
        shift = self.fake.mean - self.real.mean
        return float(shift.square().sum() + self.fake.cov.trace() + self.real.cov.trace() - 2 * w.sqrt().sum())


def _pair(x: Fitted, y: Fitted) -> _Pair | None:
    """None where there are no more images than features, or S is singular."""
    if any(side.n is not None and side.n <= side.dim for side in (x, y) if not side.exact):
        return None
    a, b, lower = x.moments, y.moments, x.lower
    varies = ~(_constant(a) & _constant(b) & ((a.mean - b.mean).abs() <= ROUNDING * a.mean.abs()))
    if not bool(varies.any()):
        return None
    if not bool(varies.all()):
        a, b = _columns(a, varies), _columns(b, varies)
        factor, failed = cholesky_ex(a.cov)
        lower = None if failed else factor
    return None if lower is None else _Pair(a, b, lower, varies)


def _full_rank(w: Tensor) -> bool:
    return bool(w[0] > w[-1] * len(w) * torch.finfo(w.dtype).eps)


def _constant(data: Moments) -> Tensor:
    return data.cov.diagonal() <= (ROUNDING * data.mean).square()


def _columns(data: Moments, which: Tensor) -> Moments:
    return Moments(data.mean[which], data.cov[which][:, which], data.n)


def _influence(rows: Tensor, columns: Tensor, mean: Tensor, shift: Tensor, half_map: Tensor) -> Tensor:
    """2 shift.c + c'c - c' T c for the columns c of each centred row, where T = half_map half_map'; centred.

    Of more than INFLUENCES rows, that many drawn at random, the same for equal N, as sets that are compared pair by
    pair want: they give the variance to a few percent. At equal steps they would see one class where classes take
    turns.
    c half_map is taken in the rows' own precision: from float32 rows each influence is off by about 1e-7 c'c.
    """
    parts = []
    half_map = half_map.to(rows.dtype)
    if len(rows) > INFLUENCES:
        rows = rows[torch.from_numpy(np.random.RandomState(0).permutation(len(rows))[:INFLUENCES]).to(rows.device)]
    for block in rows.split(ROWS):
        c = block[:, columns].double() - mean
        mapped = (c.to(rows.dtype) @ half_map).double()
        parts.append(c @ (2 * shift) + c.norm(dim=1).square() - mapped.norm(dim=1).square())
    values = torch.cat(parts)
    return values - values.mean()
