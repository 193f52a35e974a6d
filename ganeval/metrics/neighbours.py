"""Nearest neighbours: leave-one-out 1-NN accuracy, precision and recall, density and coverage.

All of them read the same distances. `neighbours` computes those once for as many as are wanted; the public functions
are its single cases. Balls and ties are decided in float64 on squared distances, where a copy is at exactly 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ganeval.errors import GanevalError
from ganeval.intervals import binomial, student
from ganeval.metrics._halves import SPLITS, Balls, design_effect, halvings, listed, nearest_in_half
from ganeval.metrics._inputs import Array, pair
from ganeval.metrics._pairwise import blocks, half_blocks, squared_distances
from ganeval.types import Estimate

Near = tuple[Tensor, Tensor]
"""Squared distances from each image to its L nearest of a set, ascending, and which they are, both (N, L)."""


def one_nn_accuracy(fake: Array, real: Array, *, k: int = 1) -> Estimate:
    """Leave-one-out k-NN accuracy at telling fake from real (Lopez-Paz and Oquab, 2017; arXiv:1806.07755).

    Features (N, D) and (M, D). Range 0 to 1; best is 0.5: the nearest other image is as often fake as real. Near 1
    the sets lie apart, near 0 every fake is a near-copy of a real image. Needs N = M; unequal sets shift the optimum.
    A tie in distance goes to the real neighbour, a tie in votes to real, as in the study's code.

    std_error: binomial; interval: Wilson's, both as if the N + M decisions were independent, which they nearly are.
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
    std_error: binomial over the fakes; interval: Wilson's; both take the real balls as given.
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
    in `precision`. std_error: of the mean over the fakes, the real balls as given; interval: normal.
    """
    return neighbours(fake, real, {"density": {"k": k, "strict": strict}})["density"]


def coverage(fake: Array, real: Array, *, k: int = 5, strict: bool = True) -> Estimate:
    """The share of real images with a fake in their ball (Naeem et al., 2020, arXiv:2002.09797); higher is better.

    Features (N, D) and (M, D). Range 0 to 1; for equal distributions and N = M about 1 - 2^-k, 0.969 at k = 5; noise
    in the fakes lowers it as collapse does. std_error: binomial over the real images; interval: Wilson's.
    """
    return neighbours(fake, real, {"coverage": {"k": k, "strict": strict}})["coverage"]


def neighbours(fake: Array, real: Array, wanted: Mapping[str, Mapping[str, Any]]) -> dict[str, Estimate]:
    """The wanted metrics of this module, {name: its options}, from one pass over the distances."""
    x, y = pair(fake, real)
    reach = max(options["k"] for options in wanted.values())
    lowest = min(options["k"] for options in wanted.values())
    if lowest < 1 or min(len(x), len(y)) <= reach:
        raise GanevalError(f"k={reach if lowest >= 1 else lowest} needs k >= 1 and more than k images in each set, "
                           f"got {len(x)} fake and {len(y)} real")  # fmt: skip
    by_vote = [name for name in wanted if name.startswith("one_nn")]
    halves_x, halves_y = halvings(len(x), len(y), x.device)
    votes = max((wanted[name]["k"] for name in by_vote), default=0)
    of_fake = max(votes, wanted["recall"]["k"] if "recall" in wanted else 0)
    near_real = _nearest_within(y, listed(reach, len(y)))
    near_fake = _nearest_within(x, listed(of_fake, len(x))) if of_fake else near_real
    balls = {name: (name == "recall", options["k"], options["strict"])
             for name, options in wanted.items() if name not in by_vote}  # fmt: skip
    counts = {}
    for ball in balls.values():
        of_fakes, k, strict = ball
        near, halves = (near_fake, (halves_x, halves_y)) if of_fakes else (near_real, (halves_y, halves_x))
        counts[ball] = Balls(k, strict, *near, *halves)
    to_real, to_fake = (_none(len(rows), listed(votes, len(others)), x) for rows, others in ((x, y), (y, x)))
    for rows, columns, d in blocks(x, y, squared_distances):
        for (of_fakes, _, _), count in counts.items():
            block = (columns, rows, d.T) if of_fakes else (rows, columns, d)
            count.add(*block)
        if by_vote:
            _merge(to_real, rows, d, columns.start)
            _merge(to_fake, columns, d.T, rows.start)

    taken = {k: (_votes(near_real, to_fake, k, halves_y, halves_y, halves_x),
                 _votes(to_real, near_fake, k, halves_x, halves_y, halves_x))
             for k in {wanted[name]["k"] for name in by_vote}}  # fmt: skip
    results = {}
    for name, options in wanted.items():
        if name in by_vote:
            results[name] = _accuracy(name, *taken[options["k"]], halves_x, halves_y)
            continue
        count = counts[balls[name]]
        if name == "coverage":
            terms = count.reached > 0, count.half_reached > 0, count.ball_halves
        elif name == "density":
            terms = count.around.double() / options["k"], count.half_around.double() / options["k"], count.point_halves
        else:
            terms = count.around > 0, count.half_around > 0, count.point_halves
        results[name] = _mean(*terms, len(x), len(y), {})
    return results


def _none(n: int, length: int, like: Tensor) -> Near:
    distances = like.new_full((n, length), math.inf, dtype=torch.float64)
    return distances, torch.zeros_like(distances, dtype=torch.int64)


def _merge(near: Near, rows: slice, more: Tensor, start: int) -> None:
    """Puts the distances `more`, from the images `rows` to those from number `start` on, into their lists."""
    length = near[0].shape[1]
    few = more.topk(min(length, more.shape[1]), largest=False)
    distances = torch.cat([near[0][rows], few.values], 1).topk(length, largest=False)
    near[1][rows] = torch.cat([near[1][rows], few.indices + start], 1).gather(1, distances.indices)
    near[0][rows] = distances.values


def _nearest_within(x: Tensor, length: int) -> Near:
    """Of the other rows of x."""
    near = _none(len(x), length, x)
    for rows, columns, d in half_blocks(x, squared_distances):
        if rows == columns:
            d.fill_diagonal_(math.inf)
        else:
            _merge(near, columns, d.T, rows.start)
        _merge(near, rows, d, columns.start)
    return near


def _votes(real: Near, fake: Near, k: int, own: Tensor, halves_y: Tensor, halves_x: Tensor) -> tuple[Tensor, Tensor]:
    """Whether images are taken for real, from their neighbours among the real and the fake: (N,), and (N, SPLITS)."""
    both = [torch.stack([nearest_in_half(*near, i, own, halves) for i in range(1, k + 1)], 1)
            for near, halves in ((real, halves_y), (fake, halves_x))]  # fmt: skip
    return _says_real(real[0][:, :k], fake[0][:, :k]), _says_real(*both)


def _says_real(real: Tensor, fake: Tensor) -> Tensor:
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
    value = float(terms.double().mean())
    effect = design_effect(half_terms, halves)
    if not effect > 0:
        return Estimate(
            value, None, None, n, m, {**details, "no_interval": "every half of the sets has this very value"}
        )
    details["design_effect"] = effect
    quantile = student(SPLITS)
    if terms.dtype == torch.bool:
        std_error, interval = binomial(value, len(terms) / effect, quantile)
    else:
        std_error = math.sqrt(effect * float(terms.double().var(correction=0)) / len(terms))
        interval = value - quantile * std_error, value + quantile * std_error
    return Estimate(value, std_error, interval, n, m, details)
