"""The scatter of a mean over images whose terms depend on each other, from random halves of both sets.

A neighbour metric is a mean over images of a decision, and each decision hangs on other images too. Two disjoint
halves of the sets are independent draws: E (A - B)^2 / 4 is half the variance of the metric at N / 2 and M / 2, which
is the variance at N and M where N times the variance has settled. What is taken over from the halves is only its ratio
to the variance that independent decisions would have (Kish's design effect, 1965), for that ratio moves less with N.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

SPLITS = 32
"""Random halvings: the design effect has about as many degrees of freedom."""
PAIRS = 1 << 16
"""Pairs of images that are looked at in all halvings at a time."""


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
    """Which images of another set lie in the balls around the images of one, in the whole sets and in their halves.

    around (P,): the balls that hold a point; reached (B,): the points that a ball holds. half_around (P, SPLITS) and
    half_reached (B, SPLITS): the same with the points and the balls of one half only.
    """

    def __init__(self, k: int, strict: bool, near: Tensor, index: Tensor, ball_halves: Tensor, point_halves: Tensor):
        """near, index (B, L): squared distances to the nearest of the balls' own set, and which they are."""
        self.strict = strict
        self.ball_halves, self.point_halves = ball_halves, point_halves
        self.radii = near[:, k - 1]
        self.half_radii = nearest_in_half(near, index, k, ball_halves, ball_halves)
        self.around, self.half_around = _zeros(len(point_halves), near), _zeros(point_halves.shape, near)
        self.reached, self.half_reached = _zeros(len(ball_halves), near), _zeros(ball_halves.shape, near)

    def add(self, points: slice, balls: slice, squares: Tensor) -> None:
        """Counts a block of squared distances (points, balls)."""
        inside = self._inside(squares, self.radii[balls])
        self.around[points] += inside.sum(1, dtype=torch.int32)
        self.reached[balls] += inside.sum(0, dtype=torch.int32)
        # A pair nearer than the ball's least radius in any half is inside in every half that it shares.
        half_radii, p, b = self.half_radii[balls], self.point_halves[points], self.ball_halves[balls]
        sure = squares < half_radii.amin(1)
        self.half_around[points] += _shared(sure.float(), p, b)
        self.half_reached[balls] += _shared(sure.T.float(), b, p)
        for pairs in ((squares <= half_radii.amax(1)) & ~sure).nonzero().split(PAIRS):
            i, j = pairs.T
            within = self._inside(squares[i, j, None], half_radii[j])
            within &= p[i] == b[j]
            self.half_around[points].index_add_(0, i, within.int())
            self.half_reached[balls].index_add_(0, j, within.int())

    def _inside(self, squares: Tensor, radii: Tensor) -> Tensor:
        return squares < radii if self.strict else squares <= radii


def _shared(pairs: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Of the pairs (N, M), 0 or 1, how many of each row are in its own half: rows (N, SPLITS), columns (M, SPLITS)."""
    first = pairs @ columns.float()
    return torch.where(rows, first, pairs.sum(1, keepdim=True) - first).int()


def _zeros(shape: int | torch.Size, like: Tensor) -> Tensor:
    return torch.zeros(shape, dtype=torch.int32, device=like.device)
