"""The influences on transport distances: the dual potentials.

W = min over plans of E c(x, y) is max over potentials of E f(x) + E g(y) with f(x) + g(y) <= c(x, y); the best f and g
are the influences, for what moves with the potentials is of second order (del Barrio and Loubes, 2019, Ann. Prob. 47).
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from ganeval.comparison.influence import Influence
from ganeval.metrics.transport import costs, directions, equal_sizes, w2_squared


def emd(fake: Tensor, real: Tensor, *, max_n: int, squared: bool, seed: int) -> Influence:
    """Of the exact assignment; where the metric subsamples, of the same images, so that A and B share the real ones."""
    x, y = equal_sizes(fake, real, max_n, seed)
    f, g = (torch.from_numpy(p).to(x.device) for p in potentials(costs(x, y, squared)))
    return Influence(float(f.mean() + g.mean()), len(f), f, len(g), g)


def potentials(cost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Dual potentials f, g (n,) of the assignment problem: f_i + g_j <= c_ij, with equality where i is matched to j.

    f_i <= f_j + c_i,m(j) - c_j,m(j) for every i, j says the same of f alone, so the lengths of the shortest paths to
    the images and from them are two solutions, and their mean is one: the duals of samples are not unique.
    """
    _, matched = linear_sum_assignment(cost)
    own = cost[np.arange(len(cost)), matched]
    steps = cost[:, matched] - own
    f = (_shortest(steps) - _shortest(steps.T)) / 2
    return f, (own - f)[np.argsort(matched)]


def _shortest(steps: np.ndarray) -> np.ndarray:
    """min over j, and over paths, of the length from j to each i, where steps[i, j] is one step (Bellman and Ford)."""
    lengths, rounding = np.zeros(len(steps)), 1e-12 * np.abs(steps).max()
    # Without negative cycles, as in an optimum, n rounds are enough; what changes after them is rounding.
    for _ in range(len(steps)):
        shorter = np.minimum(lengths, (steps + lengths).min(1))
        if (lengths - shorter).max() <= rounding:
            break
        lengths = shorter
    return lengths


def sliced_wasserstein(fake: Tensor, real: Tensor, *, projections: int, seed: int) -> Influence:
    """Of the squared distance, the mean over the projections of each one's potentials; the same projections as the
    metric's, for A and for B."""
    value, f, g = 0.0, fake.new_zeros(len(fake), dtype=torch.float64), real.new_zeros(len(real), dtype=torch.float64)
    for part in directions(fake, projections, seed):
        (x, x_order), (y, y_order) = ((rows @ part).double().sort(0) for rows in (fake, real))
        f += _unsorted(_potential(x, y), x_order).sum(1) / projections
        g += _unsorted(_potential(y, x), y_order).sum(1) / projections
        value += float(w2_squared(x, y).sum()) / projections
    return Influence(value, len(fake), f, len(real), g, root=True)


def _potential(x: Tensor, y: Tensor) -> Tensor:
    """f of each column of x (N, P), mean 0: f' = 2 (x - T(x)), where T has the quantiles of y (M, P); both ascending.

    From x_(i) to x_(i+1) the plan stays at the quantile i / N of y, between two images where it falls on a step.
    """
    n, m = len(x), len(y)
    steps = torch.arange(1, n, device=x.device) * m
    middle = (y[(steps - 1) // n] + y[steps // n]) / 2
    rises = (x[1:] - x[:-1]) * (x[1:] + x[:-1] - 2 * middle)
    potential = torch.cat([x.new_zeros(1, x.shape[1]), rises.cumsum(0)])
    return potential - potential.mean(0)


def _unsorted(values: Tensor, order: Tensor) -> Tensor:
    return torch.empty_like(values).scatter_(0, order, values)
