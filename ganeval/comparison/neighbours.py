"""The influences on the nearest-neighbour metrics: by the jackknife, exactly.

Without one image only the votes that hung on it change: of the images that had it among their k nearest, and of those
that were in its ball. A vote's next neighbour is known, so no distance is computed twice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ganeval.comparison.influence import Influence
from ganeval.errors import GanevalError
from ganeval.metrics._pairwise import squared_distances
from ganeval.metrics.neighbours import inside, says_real

ROWS = 256
"""Rows of a distance matrix at a time."""


@dataclass(frozen=True)
class _Near:
    """The nearest rows, ascending: squared distances (N, k + 1) and which rows they are."""

    squares: Tensor
    rows: Tensor


def neighbours(
    fake: Tensor, real: Tensor, wanted: Mapping[str, Mapping[str, Any]]
) -> dict[str, Influence]:
    """The influences on the wanted metrics, {name: its options}."""
    results = {}
    for name, options in wanted.items():
        k = options["k"]
        if k < 1 or min(len(fake), len(real)) < k + 2:
            raise GanevalError(f"k={k} of {name} needs k >= 1 and more than k + 1 images in each set, "
                               f"got {len(fake)} fake and {len(real)} real")  # fmt: skip
        if name.startswith("one_nn"):
            results[name] = _one_nn(name, fake, real, k)
            continue
        a, b = (real, fake) if name == "recall" else (fake, real)
        found = _Balls.of(a, b, k, options["strict"])
        if name == "coverage":
            results[name] = found.coverage()
        elif name == "density":
            results[name] = found.density(k)
        else:
            share = found.share()
            results[name] = share if name == "precision" else _exchanged(share)
    return results


def _exchanged(share: Influence) -> Influence:
    """Of recall, which is precision with the roles exchanged."""
    assert share.real is not None
    return Influence(share.value, share.m, share.real, share.n, share.fake)


@dataclass(frozen=True)
class _Balls:
    """Points (N, D) and the balls about centres (M, D) that reach to the k-th nearest other centre.

    near: of each centre among the others, k + 1. n_around: how many balls each point is in (N,). n_within: how many
    points each ball holds (M,), n_wider: one that reaches to the next centre. alone: for each ball that holds a single
    point, which, else -1. n_alone: how many points are in this ball and no other that a ball's growth would not
    replace (M,). n_gained: how many points in no ball would be in one without this centre (M,).
    """

    near: Tensor
    n_around: Tensor
    n_within: Tensor
    n_wider: Tensor
    alone: Tensor
    n_alone: Tensor
    n_gained: Tensor

    @staticmethod
    def of(points: Tensor, centres: Tensor, k: int, strict: bool) -> _Balls:
        near = _nearest(centres, None, k + 1)
        radii, wider = near.squares[:, k - 1], near.squares[:, k]
        n_around = torch.zeros(len(points), dtype=torch.int64, device=points.device)
        n_within, n_wider, n_alone, n_gained = (n_around.new_zeros(len(centres)) for _ in range(4))
        alone = n_around.new_full((len(centres),), -1)
        for start in range(0, len(points), ROWS):
            d = squared_distances(points[start : start + ROWS], centres)
            within, reached = inside(d, radii, strict), inside(d, wider, strict)
            count = within.sum(1)
            n_around[start : start + ROWS] = count
            n_within += within.sum(0)
            n_wider += reached.sum(0)
            alone = torch.where(within.any(0), start + within.int().argmax(0), alone)
            # Without centre r the balls of those that had r among their k nearest grow by one rank.
            few = count <= 1
            grown = (reached & ~within)[few].int()
            gains = torch.zeros_like(grown)
            for j in range(k):
                gains.index_add_(1, near.rows[:, j], grown)
            n_gained += ((gains > 0) & (count[few] == 0)[:, None]).sum(0)
            n_alone += (within[few] & (gains == 0)).sum(0)
        return _Balls(near.rows[:, :k], n_around, n_within, n_wider, alone, n_alone, n_gained)

    def share(self) -> Influence:
        """Of the share of points in any ball."""
        votes = (self.n_around > 0).double()
        n, m = len(votes), len(self.n_within)
        by_centre = (m - 1) * (self.n_alone - self.n_gained).double() / n
        return Influence(float(votes.mean()), n, votes, m, by_centre)

    def density(self, k: int) -> Influence:
        """Of the mean number of balls about a point, over k."""
        n, m = len(self.n_around), len(self.n_within)
        lost = self.n_within - self._credited(self.n_wider - self.n_within)
        by_centre = (m - 1) * lost.double() / (n * k)
        return Influence(float(self.n_around.double().mean()) / k, n, self.n_around.double() / k, m, by_centre)

    def coverage(self) -> Influence:
        """Of the share of balls that hold a point."""
        n, m = len(self.n_around), len(self.n_within)
        covered = self.n_within > 0
        single = self.alone[self.n_within == 1]
        by_point = (n - 1) * torch.bincount(single, minlength=n).double() / m
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
