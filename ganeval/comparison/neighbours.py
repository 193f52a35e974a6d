"""The influences on the nearest-neighbour metrics: by the jackknife, exactly.

Without one image only the votes that hung on it change: of the images that had it among their k nearest, and of those
that were in its ball. A vote's next neighbour is known, so no distance is computed twice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganeval.comparison.influence import Influence
from ganeval.errors import GanevalError
from ganeval.metrics._pairwise import squared_distances
from ganeval.metrics.neighbours import says_real

ROWS = 256
"""Rows of a distance matrix at a time."""


@dataclass(frozen=True)
class _Near:
    """The nearest rows, ascending: squared distances (N, k + 1) and which rows they are."""

    squares: Tensor
    rows: Tensor


def by_jackknife(name: str, fake: Tensor, real: Tensor, *, k: int, strict: bool = False) -> Influence:
    """Of one of the metrics of `metrics.neighbours`, by its name."""
    if k < 1 or min(len(fake), len(real)) < k + 2:
        raise GanevalError(f"k={k} needs k >= 1 and more than k + 1 images in each set, got {len(fake)} fake and "
                           f"{len(real)} real")  # fmt: skip
    if name.startswith("one_nn"):
        return _one_nn(name, fake, real, k)
    if name == "recall":
        return _exchanged(_Balls.of(real, fake, k, strict).share())
    balls = _Balls.of(fake, real, k, strict)
    if name == "precision":
        return balls.share()
    return balls.density(k) if name == "density" else balls.coverage()


def _exchanged(share: Influence) -> Influence:
    """Of recall, which is precision with the roles exchanged."""
    assert share.real is not None
    return Influence(share.value, share.m, share.real, share.n, share.fake, noise=(share.noise[1], 0.0))


@dataclass(frozen=True)
class _Balls:
    """Points (N, D) and the balls about centres (M, D) that reach to the k-th nearest other centre.

    near: which k other centres are nearest to each (M, k). n_around: how many balls each point is in (N,). n_within,
    n_wider: how many points each ball holds, and one that reaches to the next centre (M,). single: for a ball that
    holds one point, which (M,). n_alone, n_gained: how many points would leave the union of the balls without this
    centre, and how many would enter it (M,). change_squared: the sum over points of n_around's squared change (M,).
    """

    near: Tensor
    n_around: Tensor
    n_within: Tensor
    n_wider: Tensor
    single: Tensor
    n_alone: Tensor
    n_gained: Tensor
    change_squared: Tensor

    @staticmethod
    def of(points: Tensor, centres: Tensor, k: int, strict: bool) -> _Balls:
        near = _nearest(centres, None, k + 1)
        radii, wider = near.squares[:, k - 1], near.squares[:, k]
        n_around = torch.zeros(len(points), dtype=torch.int64, device=points.device)
        n_within, n_wider, n_alone, n_gained, squared = (n_around.new_zeros(len(centres)) for _ in range(5))
        single = torch.zeros_like(n_within)
        for start in range(0, len(points), ROWS):
            d = squared_distances(points[start : start + ROWS], centres)
            within, reached = (d < r if strict else d <= r for r in (radii, wider))
            count = within.sum(1)
            n_around[start : start + ROWS] = count
            n_within += within.sum(0)
            n_wider += reached.sum(0)
            single = torch.where(within.any(0), start + within.int().argmax(0), single)
            # Without centre r the balls of those that had r among their k nearest grow by one rank.
            grown, gains = (reached & ~within).int(), torch.zeros_like(within, dtype=torch.int32)
            for j in range(k):
                gains.index_add_(1, near.rows[:, j], grown)
            squared += (within.int() - gains).square().sum(0)
            n_alone += (within & (count == 1)[:, None] & (gains == 0)).sum(0)
            n_gained += ((count == 0)[:, None] & (gains > 0)).sum(0)
        return _Balls(near.rows[:, :k], n_around, n_within, n_wider, single, n_alone, n_gained, squared)

    def share(self) -> Influence:
        """Of the share of points in any ball."""
        votes = (self.n_around > 0).double()
        return self._mean(votes, self.n_alone - self.n_gained, self.n_alone + self.n_gained)

    def density(self, k: int) -> Influence:
        """Of the mean number of balls about a point, over k."""
        lost = self.n_within - self._credited(self.n_wider - self.n_within)
        return self._mean(self.n_around.double() / k, lost.double() / k, self.change_squared.double() / k**2)

    def _mean(self, votes: Tensor, lost: Tensor, squared: Tensor) -> Influence:
        """Of the mean vote, from the sums over points of what a vote loses without each centre, and of its square.

        Each is a mean over independent points, so its own variance is known, and how much noise that is.
        """
        n, m = len(votes), len(lost)
        noise = (squared.double() / n - (lost / n).square()) / (n - 1)
        return Influence(float(votes.mean()), n, votes, m, (m - 1) * lost.double() / n,
                         noise=(0.0, (m - 1) ** 2 * float(noise.mean()) / m))  # fmt: skip

    def coverage(self) -> Influence:
        """Of the share of balls that hold a point."""
        n, m = len(self.n_around), len(self.n_within)
        covered = self.n_within > 0
        by_point = (n - 1) * torch.bincount(self.single[self.n_within == 1], minlength=n).double() / m
        gained = self._credited((self.n_wider > 0).long() - covered.long())
        value = covered.double().mean()
        without = (covered.sum() - covered.long() + gained).double() / (m - 1)
        return Influence(float(value), n, by_point, m, (m - 1) * (value - without))

    def _credited(self, change: Tensor) -> Tensor:
        """Each centre's change, added up over the k centres that it would lose a neighbour by (M,)."""
        total = torch.zeros_like(change)
        for j in range(self.near.shape[1]):
            total.index_add_(0, self.near[:, j], change)
        return total


def _one_nn(name: str, fake: Tensor, real: Tensor, k: int) -> Influence:
    """Of k-NN accuracy over the real, the fake, or all images."""
    n, m = len(fake), len(real)
    right = fake.new_zeros(n + m, dtype=torch.float64)
    change = torch.zeros_like(right)  # in the number of right votes, without this image
    counted = torch.zeros_like(right, dtype=torch.bool)
    if name != "one_nn_accuracy_real":
        votes, by_real, by_fake = _votes(_nearest(fake, real, k + 1), _nearest(fake, None, k + 1), m, n)
        right[:n], counted[:n] = 1 - votes, True
        change[:n] -= by_fake
        change[n:] -= by_real
    if name != "one_nn_accuracy_fake":
        votes, by_real, by_fake = _votes(_nearest(real, None, k + 1), _nearest(real, fake, k + 1), m, n)
        right[n:], counted[n:] = votes, True
        change[:n] += by_fake
        change[n:] += by_real
    total, among = right.sum(), int(counted.sum())
    without = (total - right + change) / (among - counted.double())
    lost = total / among - without
    return Influence(float(total) / among, n, (n - 1) * lost[:n], m, (m - 1) * lost[n:])


def _votes(real: _Near, fake: _Near, m: int, n: int) -> tuple[Tensor, Tensor, Tensor]:
    """Who is taken for real (N,), and by how many that changes without each real (M,) and each fake image (N,)."""
    k = real.squares.shape[1] - 1
    votes = says_real(real.squares[:, :k], fake.squares[:, :k]).double()
    by_real, by_fake = votes.new_zeros(m), votes.new_zeros(n)
    for j in range(k):
        rest = [i for i in range(k + 1) if i != j]
        other = says_real(real.squares[:, rest], fake.squares[:, :k]).double()
        by_real.index_add_(0, real.rows[:, j], other - votes)
        other = says_real(real.squares[:, :k], fake.squares[:, rest]).double()
        by_fake.index_add_(0, fake.rows[:, j], other - votes)
    return votes, by_real, by_fake


def _nearest(x: Tensor, y: Tensor | None, k: int) -> _Near:
    """The k rows of y nearest to each row of x; without y, of the other rows of x."""
    squares, rows = [], []
    for start in range(0, len(x), ROWS):
        d = squared_distances(x[start : start + ROWS], x if y is None else y)
        if y is None:
            d.diagonal(start).fill_(math.inf)
        found = d.topk(k, largest=False)
        squares.append(found.values)
        rows.append(found.indices)
    return _Near(torch.cat(squares), torch.cat(rows))
