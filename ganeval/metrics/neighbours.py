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
from ganeval.intervals import binomial, normal
from ganeval.metrics._inputs import Array, pair
from ganeval.metrics._pairwise import blocks, half_blocks, squared_distances
from ganeval.types import Estimate

Ball = tuple[int, bool]
"""k, and whether the ball is open: d < r instead of d <= r."""


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
    near_real = _nearest_within(y, reach)
    near_fake = _nearest_within(x, reach) if by_vote or "recall" in wanted else None
    balls = {name: (options["k"], options["strict"]) for name, options in wanted.items() if name not in by_vote}
    real_balls = {balls[name] for name in ("precision", "density", "coverage") if name in balls}
    fake_balls = {balls["recall"]} if "recall" in balls else set()

    n_around_fake = {ball: x.new_zeros(len(x), dtype=torch.int64) for ball in real_balls}
    real_reached = {ball: y.new_zeros(len(y), dtype=torch.bool) for ball in real_balls}
    real_within = {ball: y.new_zeros(len(y), dtype=torch.bool) for ball in fake_balls}
    cross_fake = x.new_full((len(x), reach), math.inf, dtype=torch.float64)
    cross_real = x.new_full((len(y), reach), math.inf, dtype=torch.float64)
    for rows, columns, d in blocks(x, y, squared_distances):
        for k, strict in real_balls:
            within = inside(d, near_real[columns, k - 1], strict)
            n_around_fake[k, strict][rows] += within.sum(1)
            real_reached[k, strict][columns] |= within.any(0)
        for k, strict in fake_balls:
            assert near_fake is not None
            real_within[k, strict][columns] |= inside(d, near_fake[rows, k - 1, None], strict).any(0)
        if by_vote:
            cross_fake[rows] = _merge(cross_fake[rows], d)
            cross_real[columns] = _merge(cross_real[columns], d.T)

    results = {}
    for name, options in wanted.items():
        if name in by_vote:
            assert near_fake is not None
            results[name] = _vote(name, options["k"], near_fake, near_real, cross_fake, cross_real)
        elif name == "density":
            results[name] = _density(n_around_fake[balls[name]].double() / options["k"], len(y))
        elif name == "precision":
            results[name] = _share(n_around_fake[balls[name]] > 0, len(x), len(y))
        else:
            results[name] = _share((real_within if name == "recall" else real_reached)[balls[name]], len(x), len(y))
    return results


def inside(squares: Tensor, radii: Tensor, strict: bool) -> Tensor:
    return squares < radii if strict else squares <= radii


def _merge(nearest: Tensor, more: Tensor) -> Tensor:
    """The k smallest of each row, ascending, of those so far (N, k) and more (N, any)."""
    few = more.topk(min(nearest.shape[1], more.shape[1]), largest=False).values
    return torch.cat([nearest, few], 1).topk(nearest.shape[1], largest=False).values


def _nearest_within(x: Tensor, k: int) -> Tensor:
    """Squared distances from each row to its k nearest other rows, ascending (N, k)."""
    nearest = x.new_full((len(x), k), math.inf, dtype=torch.float64)
    for rows, columns, d in half_blocks(x, squared_distances):
        if rows == columns:
            d.fill_diagonal_(math.inf)
        else:
            nearest[columns] = _merge(nearest[columns], d.T)
        nearest[rows] = _merge(nearest[rows], d)
    return nearest


def _vote(name: str, k: int, near_fake: Tensor, near_real: Tensor, cross_fake: Tensor, cross_real: Tensor) -> Estimate:
    """Accuracy over the real, the fake, or all images."""
    real_is_real = says_real(near_real[:, :k], cross_real[:, :k])
    fake_is_real = says_real(cross_fake[:, :k], near_fake[:, :k])
    n, m = len(fake_is_real), len(real_is_real)
    true_real, false_real = int(real_is_real.sum()), int(fake_is_real.sum())
    details = {"true_real": true_real, "false_real": false_real}
    if name == "one_nn_accuracy":
        return _binomial(true_real + n - false_real, n + m, n, m, details)
    if name == "one_nn_accuracy_real":
        return _binomial(true_real, m, n, m, details)
    return _binomial(n - false_real, n, n, m, details)


def says_real(real: Tensor, fake: Tensor) -> Tensor:
    """Whether at least half of the k nearest, of k real and k fake distances (N, k), are real; ties go to real."""
    k = real.shape[1]
    order = torch.cat([real, fake], 1).sort(dim=1, stable=True).indices
    return (order[:, :k] < k).sum(1) * 2 >= k


def _density(counts: Tensor, m: int) -> Estimate:
    value, n = float(counts.mean()), len(counts)
    std_error = float(counts.double().std()) / math.sqrt(n)
    return Estimate(value, std_error, normal(value, std_error), n, m)


def _share(hits: Tensor, n: int, m: int) -> Estimate:
    return _binomial(int(hits.sum()), len(hits), n, m, {})


def _binomial(hits: int, trials: int, n: int, m: int, details: dict[str, Any]) -> Estimate:
    std_error, interval = binomial(hits / trials, trials)
    return Estimate(hits / trials, std_error, interval, n, m, details)
