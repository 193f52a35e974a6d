"""Nearest neighbours: leave-one-out 1-NN accuracy, precision and recall, density and coverage.

All of them read the same distances. `neighbours` computes those once for as many as are wanted; the public functions
are its single cases. Distances of float32 features are taken in float32, and what their rounding could decide is
decided in float64 from the differences, where a copy is at exactly 0: every decision is that of exact arithmetic.

The intervals are for the expected value of the metric at these N and M, over new draws of both sets. Each image's
decision hangs on other images, so that the variance is that of independent decisions times a design effect, which
random halves of both sets show (`numerics.halves`; `details["design_effect"]`). A share's interval is Wilson's for so
many fewer images, with Student's quantile; density's is symmetrical. None is given under SMALLEST images, nor where
fewer than FEWEST decide otherwise than the rest. Where coverage was measured: docs/calibration.md.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganeval.errors import GanevalError
from ganeval.fp32 import true_fp32
from ganeval.numerics.halves import SPLITS, Balls, design_effect, half_radii, halvings, listed, nearest_in_half, tie
from ganeval.numerics.inputs import Array, pair
from ganeval.numerics.intervals import binomial, student
from ganeval.numerics.lists import Near
from ganeval.numerics.pairwise import Centred, one_pass
from ganeval.types import Estimate

FEWEST = 3
"""Images that are in, and that are out, from which a share has an interval: fewer can't tell how they scatter."""
SMALLEST = 100
"""Images of either set from which halves are taken for what the whole would be."""
COPIES = 0.01
"""Share of images with k copies or more, whose balls are empty, up to which halves are taken for what the whole would
be: in a half they have fewer copies, and balls again."""
FLAT = 8
"""Features under which precision and recall have no interval: sparse tails make them scatter more than halves tell."""


def one_nn_accuracy(fake: Array, real: Array, *, k: int = 1) -> Estimate:
    """Leave-one-out k-NN accuracy at telling fake from real (Lopez-Paz and Oquab, 2017; arXiv:1806.07755).

    Features (N, D) and (M, D). Range 0 to 1; best is 0.5: the nearest other image is as often fake as real. Near 1
    the sets lie apart, near 0 every fake is a near-copy of a real image. Needs N = M; unequal sets shift the optimum.
    A tie in distance goes to the real neighbour, a tie in votes to real, as in the study's code.

    std_error and interval: from halves of both sets, for the expected value at these N and M (see this module).
    Raises GanevalError where a set has no more than k images.
    """
    return neighbours(fake, real, {"one_nn_accuracy": {"k": k}})["one_nn_accuracy"]


def one_nn_accuracy_real(fake: Array, real: Array, *, k: int = 1) -> Estimate:
    """The share of real images that `one_nn_accuracy` takes for real, best at 0.5.

    Low while `one_nn_accuracy_fake` is high: the fakes crowd together in few places, as in mode collapse.
    """
    return neighbours(fake, real, {"one_nn_accuracy_real": {"k": k}})["one_nn_accuracy_real"]


def one_nn_accuracy_fake(fake: Array, real: Array, *, k: int = 1) -> Estimate:
    """The share of fake images that `one_nn_accuracy` takes for fake, best at 0.5. Near 0: copies of real images."""
    return neighbours(fake, real, {"one_nn_accuracy_fake": {"k": k}})["one_nn_accuracy_fake"]


def precision(fake: Array, real: Array, *, k: int = 3, strict: bool = False) -> Estimate:
    """The share of fakes within some real image's ball, whose radius is the distance to its k-th nearest real one.

    Kynkäänniemi et al., 2019 (arXiv:1904.06991): k = 3, d <= r. prdc and others take k = 5 and d < r (strict).
    Features (N, D) and (M, D). Range 0 to 1, higher is better; a perfect generator is below 1. Depends on M.
    std_error and interval: from halves of both sets, for the expected value at these N and M (see this module); no
    interval under FLAT features, where it was found to hold only 92 times in 100.
    Raises GanevalError where a set has no more than k images.
    """
    return neighbours(fake, real, {"precision": {"k": k, "strict": strict}})["precision"]


def recall(fake: Array, real: Array, *, k: int = 3, strict: bool = False) -> Estimate:
    """The share of real images within some fake's ball: `precision` with the roles exchanged. Depends on N.

    Where fakes are copies of each other the radii are 0, and only an equal real image is within (none if strict).
    """
    return neighbours(fake, real, {"recall": {"k": k, "strict": strict}})["recall"]


def density(fake: Array, real: Array, *, k: int = 5, strict: bool = True) -> Estimate:
    """How many real balls a fake lies in, over k, on average (Naeem et al., 2020, arXiv:2002.09797); higher is better.

    Features (N, D) and (M, D). Range 0 upwards; 1 for equal distributions. Outliers among the real count less than
    in `precision`. std_error and interval: from halves of both sets, for the expected value at these N and M.
    """
    return neighbours(fake, real, {"density": {"k": k, "strict": strict}})["density"]


def coverage(fake: Array, real: Array, *, k: int = 5, strict: bool = True) -> Estimate:
    """The share of real images with a fake in their ball (Naeem et al., 2020, arXiv:2002.09797); higher is better.

    Features (N, D) and (M, D). Range 0 to 1; for equal distributions and N = M about 1 - 2^-k, 0.969 at k = 5; noise
    in the fakes lowers it as collapse does. std_error and interval: from halves of both sets, for the expected value
    at these N and M; none where fewer than FEWEST real images are missed.
    """
    return neighbours(fake, real, {"coverage": {"k": k, "strict": strict}})["coverage"]


@true_fp32()
def neighbours(fake: Array, real: Array, wanted: Mapping[str, Mapping[str, Any]]) -> dict[str, Estimate]:
    """The wanted metrics of this module, {name: its options}, from one pass over the distances."""
    sides = Centred.both(*pair(fake, real))
    alone = Neighbours(*sides, wanted)
    one_pass(*sides, [alone])
    return alone.estimates()


class Neighbours:
    """The wanted metrics of this module, {name: its options}, in a pass that others may share."""

    def __init__(self, x: Centred, y: Centred, wanted: Mapping[str, Mapping[str, Any]]) -> None:
        n, m = len(x.rows), len(y.rows)
        for k in (options["k"] for options in wanted.values()):
            if isinstance(k, bool) or not isinstance(k, int | np.integer):
                raise GanevalError(f"k={k!r}; give a whole number")
        reach = max(options["k"] for options in wanted.values())
        lowest = min(options["k"] for options in wanted.values())
        if lowest < 1 or min(n, m) <= reach:
            raise GanevalError(f"k={reach if lowest >= 1 else lowest} needs k >= 1 and more than k images in each set, "
                               f"got {n} fake and {m} real")  # fmt: skip
        self.x, self.y, self.wanted = x, y, wanted
        self.by_vote = [name for name in wanted if name.startswith("one_nn")]
        self.balls = {name: (name == "recall", options["k"], options["strict"])
                      for name, options in wanted.items() if name in ("precision", "recall", "density")}  # fmt: skip
        self.halves = halvings(n, m, x.rows.device)
        votes = max((wanted[name]["k"] for name in self.by_vote), default=0)
        of_fake = max(votes, wanted["recall"]["k"] if "recall" in wanted else 0)
        self.sides: Collection[int] = (0, 1) if of_fake else (1,)
        self.near = Near.themselves(x, listed(of_fake, n)), Near.themselves(y, listed(reach, m))
        to_real = max(votes, 1 if "coverage" in wanted else 0)
        self.cross = Near.unknown(x, y, listed(votes, m)), Near.unknown(y, x, listed(to_real, n))
        self.counts: dict[tuple[bool, int, bool], Balls] = {}

    def within(self, side: int, rows: slice, columns: slice, products: Tensor) -> None:
        near = self.near[side]
        d = near.of.rough(rows, near.of, columns, products)
        if rows == columns:
            d.fill_diagonal_(math.inf)
        else:
            near.merge(columns, d.T, rows.start)
        near.merge(rows, d, columns.start)

    def across(self, rows: slice, columns: slice, products: Tensor) -> None:
        self.counts = self.counts or {ball: self._count(*ball) for ball in self.balls.values()}
        d = self.x.rough(rows, self.y, columns, products)
        for (of_fakes, _, _), count in self.counts.items():
            count.add(*((columns, rows, d.T) if of_fakes else (rows, columns, d)))
        if self.by_vote:
            self.cross[0].merge(rows, d, columns.start)
        if self.by_vote or "coverage" in self.wanted:
            self.cross[1].merge(columns, d.T, rows.start)

    def _count(self, of_fakes: bool, k: int, strict: bool) -> Balls:
        near, points = (self.near[0], self.y) if of_fakes else (self.near[1], self.x)
        of_balls, of_points = self.halves if of_fakes else self.halves[::-1]
        counted = self.balls.get("density") == (of_fakes, k, strict)
        return Balls(k, strict, near, points, of_balls, of_points, counted=counted)

    def estimates(self) -> dict[str, Estimate]:
        """What the pass found."""
        (near_fake, near_real), (to_real, to_fake), (halves_x, halves_y) = self.near, self.cross, self.halves
        taken = {k: (_votes(near_real, to_fake, k, halves_y, halves_y, halves_x),
                     _votes(to_real, near_fake, k, halves_x, halves_y, halves_x))
                 for k in {self.wanted[name]["k"] for name in self.by_vote}}  # fmt: skip
        return {name: _accuracy(name, *taken[options["k"]], *self.halves) if name in self.by_vote
                else self._of_balls(name, **options) for name, options in self.wanted.items()}  # fmt: skip

    def _of_balls(self, name: str, k: int, strict: bool) -> Estimate:
        """The mean over the images that are asked whether they are in a ball, or hold one."""
        (n, m), dim, near = map(len, self.halves), len(self.x.centre), self.near[0 if name == "recall" else 1]
        if name == "coverage":
            whole, parts = _covered(near, self.cross[1], k, strict, *self.halves)
            halves = self.halves[1]
        else:
            count = self.counts[self.balls[name]]
            whole, parts, halves = count.around, count.half_around, count.point_halves
            whole, parts = (c.double() / k if name == "density" else c > 0 for c in (whole, parts))
        estimate = _mean(whole, parts, halves, n, m, {})
        why = _not_told(near, k, "samples" if name == "recall" else "real images")
        if name in ("precision", "recall") and dim < FLAT:
            why = f"{dim} features, where {FLAT} are needed"
        return replace(estimate, interval=None, details=estimate.details | {"no_interval": why}) if why else estimate


def _not_told(near: Near, k: int, whose: str) -> str | None:
    """Why halves can't tell what the whole would be, where the distances to the k-th nearest are 0 or hidden."""
    hidden, n = near.hidden(k), len(near.index)
    if len(hidden) <= COPIES * n:
        return None
    if (copies := near.copied(hidden, k)) > COPIES * n:
        return f"{copies / n:.0%} of the {whose} have {k} copies or more, and fewer in the halves"
    return f"rounding hides how near {len(hidden) / n:.0%} of the {whose} are to each other; give features in float64"


def _covered(
    near: Near, to_fake: Near, k: int, strict: bool, halves_x: Tensor, halves_y: Tensor
) -> tuple[Tensor, Tensor]:
    """Whether the nearest fake is in a real image's ball: (M,), and in the halves (M, SPLITS)."""
    nearest, radii = to_fake.squares[:, 0], near.squares[:, k - 1]
    covered = nearest < radii if strict else nearest <= radii
    unsure = ((nearest - radii).abs() <= to_fake.slack(nearest) + near.slack(radii)).nonzero()[:, 0]
    nearest, radii = to_fake.settled(unsure, 1), near.settled(unsure, k)
    covered[unsure] = nearest < radii if strict else nearest <= radii
    nearest = nearest_in_half(to_fake.squares, to_fake.index, 1, halves_y, halves_x)
    radii = half_radii(near, k, strict, halves_y)
    return covered, nearest < radii if strict else nearest <= radii


def _votes(real: Near, fake: Near, k: int, own: Tensor, halves_y: Tensor, halves_x: Tensor) -> tuple[Tensor, Tensor]:
    """Whether images are taken for real, from their neighbours among the real and the fake: (N,), and (N, SPLITS).

    In the halves a tie within rounding is a tie.
    """
    a, b = real.squares[:, :k], fake.squares[:, :k]
    votes = says_real(a, b)
    gaps, slack = a[:, :, None] - b[:, None], real.slack(a)[:, :, None] + fake.slack(b)[:, None]
    unsure = (gaps.abs() <= slack).flatten(1).any(1).nonzero()[:, 0]
    votes[unsure] = says_real(
        *(torch.stack([near.settled(unsure, i) for i in range(1, k + 1)], 1) for near in (real, fake))
    )
    both = [torch.stack([nearest_in_half(near.squares, near.index, i, own, halves) for i in range(1, k + 1)], 1)
            for near, halves in ((real, halves_y), (fake, halves_x))]  # fmt: skip
    return votes, says_real(both[0] - tie(real, both[0]), both[1])


def says_real(real: Tensor, fake: Tensor) -> Tensor:
    """Whether at least half of the k nearest, of k real and k fake distances (N, k, ...), are real; ties go to real."""
    k = real.shape[1]
    order = torch.cat([real, fake], 1).sort(dim=1, stable=True).indices
    return (order[:, :k] < k).sum(1) * 2 >= k


def _accuracy(name: str, real: tuple[Tensor, Tensor], fake: tuple[Tensor, Tensor], x: Tensor, y: Tensor) -> Estimate:
    """Over the real, the fake, or all images, each of which was taken for real or not."""
    details = {"true_real": int(real[0].sum()), "false_real": int(fake[0].sum())}
    of = {"one_nn_accuracy": slice(2), "one_nn_accuracy_real": slice(1), "one_nn_accuracy_fake": slice(1, 2)}[name]
    right, half_right = (torch.cat([real[i], ~fake[i]][of]) for i in (0, 1))
    return _mean(right, half_right, torch.cat([y, x][of]), len(x), len(y), details)


def _mean(terms: Tensor, half_terms: Tensor, halves: Tensor, n: int, m: int, details: dict[str, Any]) -> Estimate:
    """The mean of the images' terms; a share's interval is Wilson's at the effective number of independent images."""
    value, std_error, interval = float(terms.double().mean()), None, None
    effect, quantile = design_effect(half_terms, halves), student(SPLITS)
    if effect > 0:
        details["design_effect"] = effect
        if terms.dtype == torch.bool:
            std_error, interval = binomial(value, len(terms) / effect, quantile)
        else:
            std_error = math.sqrt(effect * float(terms.var(correction=0)) / len(terms))
            interval = value - quantile * std_error, value + quantile * std_error
    if why := _doubt(terms, effect, min(n, m)):
        # An error of exactly 0 would say that the value is certain.
        details["no_interval"], interval, std_error = why, None, std_error or None
    return Estimate(value, std_error, interval, n, m, details)


def _doubt(terms: Tensor, effect: float, fewest: int) -> str | None:
    """Why an interval would not hold, if it would not."""
    if fewest < SMALLEST:
        return f"{fewest} images, where {SMALLEST} are needed"
    if terms.dtype == torch.bool and (rare := min(int(terms.sum()), int((~terms).sum()))) < FEWEST:
        return f"all images but {rare} are alike, where {FEWEST} that differ are needed to tell how they scatter"
    return None if effect > 0 else "every half of the images has the same value"
