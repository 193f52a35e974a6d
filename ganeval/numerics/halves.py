"""The scatter of a mean over images whose terms depend on each other, from random halves of both sets.

A neighbour metric is a mean over images of a decision, and each decision hangs on other images too. Two disjoint
halves of the sets are independent draws: E (A - B)^2 / 4 is half the variance of the metric at N / 2 and M / 2, which
is the variance at N and M where N times the variance has settled. What is taken over from the halves is only its ratio
to the variance that independent decisions would have (Kish's design effect, 1965), for that ratio moves less with N.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ganeval.numerics.lists import Near
from ganeval.numerics.pairwise import Centred, exact_squares, few_true

SPLITS = 32
"""Random halvings: the design effect has about as many degrees of freedom."""
PAIRS = 1 << 12
"""Pairs of images that are looked at in all halvings at a time."""
MANY = 1 / 32
"""Share of a block's pairs from which those surely inside are counted by products, and the others one by one."""
TIE = 1 / 3
"""How much of the likely rounding is between distances that count as equal in the halves."""


def listed(k: int, n: int) -> int:
    """How many neighbours to list so that the k-th of the own half is among them, but for 1 in 2,000."""
    return min(3 * k + 10, n - 1)


def halvings(n: int, m: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Which half each image of either set is in, bool (N, SPLITS) and (M, SPLITS); always the same for an N and M."""
    random = np.random.RandomState(0)
    sides = [np.stack([random.permutation(size) < size // 2 for _ in range(SPLITS)], 1) for size in (n, m)]
    first, second = (torch.from_numpy(side).to(device) for side in sides)
    return first, second


def nearest_in_half(near: Tensor, index: Tensor, k: int, half: Tensor, halves: Tensor) -> Tensor:
    """The distance from each image to the k-th nearest of its own half, (N, SPLITS).

    near, index (N, L): distances, ascending, to the L nearest images and which they are; half (N, SPLITS) of the
    images themselves, halves (M, SPLITS) of their neighbours. Where fewer than k are listed: the last one.
    """
    place, own = (torch.zeros(half.shape, dtype=torch.int16, device=half.device) for _ in range(2))
    for column in index[:, :-1].T:
        own += halves[column] == half
        place += own < k
    return near.gather(1, place.long())


def tie(near: Near, squares: Tensor) -> Tensor:
    """How far from rough squared distances (N, ...) others count as equal to them in the halves.

    n roundings in a row add up to some sqrt(n) u (Higham and Mary, 2019), not to the n u of the bound, by which
    neighbours' distances differ often enough for a tie to favour one side visibly.
    """
    return near.slack(squares) * (TIE / math.sqrt(near.of.roundings))


def half_radii(near: Near, k: int, strict: bool, halves: Tensor) -> Tensor:
    """The squared radius of each image's ball in its own half, (N, SPLITS); what is within `tie` of it is at it."""
    radii = nearest_in_half(near.squares, near.index, k, halves, halves)
    return radii - tie(near, radii) if strict else radii + tie(near, radii)


def design_effect(terms: Tensor, halves: Tensor) -> float:
    """Variance of the mean over that of independent terms; NaN where all terms are equal.

    terms (N, SPLITS): each image's within its half; halves (N, SPLITS): which half that is.
    """
    terms = terms.double()
    total, first = terms.sum(0), (terms * halves).sum(0)
    size = halves.sum(0)
    apart = first / size - (total - first) / (len(terms) - size)
    plain = terms.square().mean() - (total / len(terms)).square().mean()
    return float(apart.square().mean() / 4 / (plain / len(terms)))


class Balls:
    """In how many of the balls around the images of one set each image of another lies, in whole sets and in halves.

    around (P,): the balls that hold a point, exactly. half_around (P, SPLITS): those of the balls of the point's half,
    where a distance within `tie` of a radius counts as equal to it.
    """

    def __init__(
        self, k: int, strict: bool, near: Near, points: Centred, ball_halves: Tensor, point_halves: Tensor,
        *, counted: bool,
    ):  # fmt: skip
        """near: the neighbours of the balls' centres in their own set. counted: whether counts are wanted; else they
        only say which points are in any ball."""
        self.k, self.strict, self.near, self.points, self.counted = k, strict, near, points, counted
        self.ball_halves, self.point_halves = ball_halves, point_halves
        radii = near.squares[:, k - 1]
        # The radius is off by up to its slack, a distance like it by as much again, and these sums by their rounding.
        self.low, self.high = radii - 2.1 * near.slack(radii), radii + 2.1 * near.slack(radii)
        self.exact = torch.full_like(near.of.norms, math.nan)
        self.half_radii = half_radii(near, k, strict, ball_halves)
        self.reach = torch.maximum(self.high, self.half_radii.amax(1))
        self.around, self.half_around = (near.squares.new_zeros(h.shape) for h in (point_halves[:, 0], point_halves))

    def add(self, points: slice, balls: slice, squares: Tensor) -> None:
        """Counts a block of rough squared distances (points, balls)."""
        rows = torch.arange(points.start, points.stop, device=squares.device)
        if not self.counted:
            left = (self.around[rows] == 0) | (self.half_around[rows] == 0).any(1)
            if not bool(left.all()):
                rows, squares = rows[left], squares[left]
        p, b, radii = self.point_halves[rows], self.ball_halves[balls], self.half_radii[balls]
        near = squares <= self.reach[balls]
        if int(near.count_nonzero()) > MANY * near.numel():
            near ^= self._sure(rows, balls, squares, p, b)
        pairs = few_true(near)
        distances = squares[pairs]
        self._settle(rows[pairs[0]], pairs[1] + balls.start, distances)
        for i, j, d in zip(*(part.split(PAIRS) for part in (*pairs, distances)), strict=True):
            # index_select copies rows several times faster than an index does, and bytes are made floats faster than
            # flags.
            beyond = radii.index_select(0, j)
            within = d[:, None] < beyond if self.strict else d[:, None] <= beyond
            within &= p.index_select(0, i) == b.index_select(0, j)
            self.half_around.index_add_(0, rows[i], within.view(torch.uint8).to(self.half_around.dtype))

    def _sure(self, rows: Tensor, balls: slice, squares: Tensor, p: Tensor, b: Tensor) -> Tensor:
        """Counts the pairs of a block (rows, balls) that are inside whatever the rounding, and says which they are.

        A pair nearer than the whole set's radius is inside in every half that it shares: a half's radii are longer.
        """
        sure = squares < self.low[balls]
        inside = sure.to(squares.dtype)
        total, first = inside.sum(1, keepdim=True), inside @ b.to(squares.dtype)
        self.around[rows] += total[:, 0]
        self.half_around[rows] += torch.where(p, first, total - first)
        return sure

    def _settle(self, points: Tensor, balls: Tensor, squares: Tensor) -> None:
        """Counts those of the pairs (P,) that are inside in the whole sets."""
        sure = squares < self.low[balls]
        self.around.index_add_(0, points, sure.to(self.around.dtype))
        unsure = ((squares <= self.high[balls]) & ~sure).nonzero()[:, 0]
        points, balls, squares = points[unsure], balls[unsure], squares[unsure].double().clamp(min=0)
        which = balls.unique()
        which = which[self.exact[which].isnan()]
        self.exact[which] = self.near.settled(which, self.k)
        radii, norms = self.exact[balls], self.points.norms[points] + self.near.of.norms[balls]
        bound = self.points.rounding * norms + self.points.underflow
        # Nothing is in an open ball around a copy.
        still = (((squares - radii).abs() <= bound) & (radii > 0 if self.strict else True)).nonzero()[:, 0]
        squares[still] = exact_squares(self.points.rows, points[still], self.near.of.rows, balls[still])
        inside = squares < radii if self.strict else squares <= radii
        self.around.index_add_(0, points, inside.to(self.around.dtype))
