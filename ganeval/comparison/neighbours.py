"""The influences on the nearest-neighbour metrics: by the jackknife, exactly.

Without one image only the votes that hung on it change: of the images that had it among their k nearest, and of those
that were in its ball. A vote's next neighbour is known, so no distance is computed twice.

`metrics.neighbours` counts the same votes from float32 products, and settles in float64 what these can't tell. Here all
distances are in float64: the jackknife asks who would vote in each image's place. Tests hold the two to one value.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ganeval.comparison.influence import Influence
from ganeval.errors import GanevalError
from ganeval.metrics.neighbours import says_real
from ganeval.numerics.pairwise import squared_distances

ROWS = 256
"""Rows of a distance matrix at a time."""


@dataclass(frozen=True)
class _Sorted:
    """The nearest rows, ascending: squared distances (N, L) and which rows they are."""

    squares: Tensor
    rows: Tensor

    def first(self, length: int) -> _Sorted:
        return _Sorted(self.squares[:, :length], self.rows[:, :length])


def neighbours(fake: Tensor, real: Tensor, wanted: Mapping[str, Mapping[str, Any]]) -> dict[str, Influence]:
    """Of the wanted metrics of `metrics.neighbours`, {name: its options}; all read the same distances."""
    reach = [options["k"] for options in wanted.values()]
    if min(reach) < 1 or min(len(fake), len(real)) < max(reach) + 2:
        k = min(reach) if min(reach) < 1 else max(reach)
        raise GanevalError(f"k={k} needs k >= 1 and more than k + 1 images in each set, got {len(fake)} fake and "
                           f"{len(real)} real")  # fmt: skip
    sets = {"fake": fake.double(), "real": real.double()}
    others = {"fake": "real", "real": "fake"}
    by_vote = [name for name in wanted if name.startswith("one_nn")]
    votes = max((wanted[name]["k"] for name in by_vote), default=0)
    kinds = {name: ("fake" if name == "recall" else "real", options["k"], options["strict"])
             for name, options in wanted.items() if name not in by_vote}  # fmt: skip
    # What no metric reads is not computed: precision has no use for the fakes' own neighbours.
    centres = [of for of in sets if votes or of in {kind[0] for kind in kinds.values()}]
    own = {of: _pass(sets[of], sets[of], max(reach) + 1) for of in centres}
    balls = {(of, k, strict): _JackknifedBalls(own[of].first(k + 1), strict, len(sets[others[of]]))
             for of, k, strict in kinds.values()}  # fmt: skip
    across = {of: _pass(sets[others[of]], sets[of], votes + 1 if votes else 0, [balls[b] for b in balls if b[0] == of])
              for of in centres}  # fmt: skip
    found = {}
    for name, options in wanted.items():
        if name in by_vote:
            four = own["real"], across["fake"], across["real"], own["fake"]
            found[name] = _one_nn(name, *(near.first(options["k"] + 1) for near in four))
        elif name == "recall":
            found[name] = _exchanged(balls[kinds[name]].share())
        else:
            some = balls[kinds[name]]
            found[name] = {"precision": some.share, "density": some.density, "coverage": some.coverage}[name]()
    return found


def _pass(points: Tensor, centres: Tensor, length: int, balls: Iterable[_JackknifedBalls] = ()) -> _Sorted:
    """Has the balls about the centres count the points; returns the `length` centres nearest to each point.

    Where points and centres are the same rows, none is its own neighbour.
    """
    lists = []
    for start in range(0, len(points), ROWS):
        d = squared_distances(points[start : start + ROWS], centres)
        if points is centres:
            d.diagonal(start).fill_(math.inf)
        for some in balls:
            some.add(start, d)
        lists.append(d.topk(length, largest=False))
    return _Sorted(torch.cat([found.values for found in lists]), torch.cat([found.indices for found in lists]))


def _exchanged(share: Influence) -> Influence:
    """Of recall, which is precision with the roles exchanged."""
    assert share.real is not None
    return Influence(share.value, share.m, share.real, share.n, share.fake, noise=(share.noise[1], 0.0))


class _JackknifedBalls:
    """Points (N, D) and the balls about centres (M, D) that reach to the k-th nearest other centre.

    near: which k other centres are nearest to each (M, k). n_around: how many balls each point is in (N,). n_within,
    n_wider: how many points each ball holds, and one that reaches to the next centre (M,). single: for a ball that
    holds one point, which (M,). n_alone, n_gained: how many points would leave the union of the balls without this
    centre, and how many would enter it (M,). change_squared: the sum over points of n_around's squared change (M,).
    """

    def __init__(self, near: _Sorted, strict: bool, points: int) -> None:
        """near: the k + 1 centres nearest to each."""
        self.k, self.strict = near.rows.shape[1] - 1, strict
        self.near, self.radii, self.wider = near.rows[:, :-1], near.squares[:, -2], near.squares[:, -1]
        self.n_around = near.rows.new_zeros(points)
        self.n_within, self.n_wider, self.n_alone, self.n_gained, self.change_squared, self.single = (
            near.rows.new_zeros(len(near.rows)) for _ in range(6)
        )

    def add(self, start: int, d: Tensor) -> None:
        """Counts the points from number `start` on, from their squared distances to all centres (B, M)."""
        within, reached = (d < r if self.strict else d <= r for r in (self.radii, self.wider))
        count = within.sum(1)
        self.n_around[start : start + len(d)] = count
        self.n_within += within.sum(0)
        self.n_wider += reached.sum(0)
        self.single = torch.where(within.any(0), start + within.int().argmax(0), self.single)
        # Without centre r the balls of those that had r among their k nearest grow by one rank.
        grown, gains = (reached & ~within).int(), torch.zeros_like(within, dtype=torch.int32)
        for j in range(self.k):
            gains.index_add_(1, self.near[:, j], grown)
        self.change_squared += (within.int() - gains).square().sum(0)
        self.n_alone += (within & (count == 1)[:, None] & (gains == 0)).sum(0)
        self.n_gained += ((count == 0)[:, None] & (gains > 0)).sum(0)

    def share(self) -> Influence:
        """Of the share of points in any ball."""
        votes = (self.n_around > 0).double()
        return self._mean(votes, self.n_alone - self.n_gained, self.n_alone + self.n_gained)

    def density(self) -> Influence:
        """Of the mean number of balls about a point, over k."""
        lost, k = self.n_within - self._credited(self.n_wider - self.n_within), self.k
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


def _one_nn(name: str, of_real: _Sorted, to_fake: _Sorted, to_real: _Sorted, of_fake: _Sorted) -> Influence:
    """Of k-NN accuracy over the real, the fake, or all images, from k + 1 neighbours of the real and of the fake ones,
    real and fake."""
    n, m = len(of_fake.rows), len(of_real.rows)
    right = of_fake.squares.new_zeros(n + m)
    change = torch.zeros_like(right)  # in the number of right votes, without this image
    counted = torch.zeros_like(right, dtype=torch.bool)
    if name != "one_nn_accuracy_real":
        votes, by_real, by_fake = _votes(to_real, of_fake, m, n)
        right[:n], counted[:n] = 1 - votes, True
        change[:n] -= by_fake
        change[n:] -= by_real
    if name != "one_nn_accuracy_fake":
        votes, by_real, by_fake = _votes(of_real, to_fake, m, n)
        right[n:], counted[n:] = votes, True
        change[:n] += by_fake
        change[n:] += by_real
    total, among = right.sum(), int(counted.sum())
    without = (total - right + change) / (among - counted.double())
    lost = total / among - without
    return Influence(float(total) / among, n, (n - 1) * lost[:n], m, (m - 1) * lost[n:])


def _votes(real: _Sorted, fake: _Sorted, m: int, n: int) -> tuple[Tensor, Tensor, Tensor]:
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
