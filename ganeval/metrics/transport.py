"""Optimal transport: the exact earth mover's distance and the sliced Wasserstein distance."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from ganeval.errors import GanevalError
from ganeval.fp32 import true_fp32
from ganeval.numerics.inputs import Array, pair, stream
from ganeval.numerics.pairwise import distances
from ganeval.types import Estimate

MOST = 10**6
"""Projections: far beyond what their noise is worth, and within memory."""
COSTLY = "how it scatters shows only in repetitions on halves of the sets, at {} times the metric's cost"


def emd(fake: Array, real: Array, *, max_n: int = 2000, squared: bool = False, seed: int = 0) -> Estimate:
    """Earth mover's distance: min over matchings s of mean_i ||x_i - y_s(i)||, lower is better.

    Features (N, D) and (M, D); Euclidean cost, squared on request (Xu et al., 2018, arXiv:1806.07755). For equal n the
    transport plan is a permutation, found exactly by scipy's `linear_sum_assignment`. The larger set, and both above
    max_n, are subsampled with the seed, for the cost grows with n cubed; n_fake and n_real are what was used, and
    `details` has a warning.

    Biased upwards, slowly vanishing in high dimension (n^(-1/D)): compare only at equal n. No standard error: no
    formula holds for sets apart and for equal ones, and the cost of repetitions on halves is 8 times the metric's.
    Raises GanevalError for max_n under 2.
    """
    x, y = pair(fake, real)
    a, b = equal_sizes(x, y, max_n, seed)
    n = len(a)
    cost = costs(a, b, squared)
    value = float(cost[linear_sum_assignment(cost)].mean())
    details = {"n": n, "no_interval": COSTLY.format("8")}
    if n < max(len(x), len(y)):
        details["subsampled"] = f"{n} of {len(x)} samples against {n} of {len(y)} reference images"
    if n == max_n < min(len(x), len(y)):
        details["warning"] = f"a random {details['subsampled']}, for its cost: max_n={max_n}"
    return Estimate(value, None, None, n, n, details)


def equal_sizes(x: Tensor, y: Tensor, max_n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Both sets, the larger one, and both above max_n, subsampled to one size."""
    if max_n < 2:
        raise GanevalError(f"max_n={max_n} of emd; give 2 or more")
    n = min(len(x), len(y), max_n)
    random = stream(seed)
    a, b = (rows if len(rows) == n else rows[_some(random, len(rows), n, rows.device)] for rows in (x, y))
    return a, b


def costs(x: Tensor, y: Tensor, squared: bool) -> np.ndarray:
    """The cost of moving each x to each y, float64 (N, M)."""
    apart = distances(x, y)
    return (apart.square() if squared else apart).cpu().numpy()


def _some(random: np.random.RandomState, total: int, n: int, device: torch.device) -> Tensor:
    return torch.from_numpy(random.choice(total, n, replace=False)).to(device)


@true_fp32()
def sliced_wasserstein(fake: Array, real: Array, *, projections: int = 500, seed: int = 0) -> Estimate:
    """Sliced 2-Wasserstein distance: sqrt(E_u W_2^2(<x, u>, <y, u>)) over random unit vectors u; lower is better.

    Bonneel et al., 2015 (JMIV 51:22). Features (N, D) and (M, D). In one dimension W_2^2 is the integral of the squared
    difference of the quantile functions, computed exactly for unequal n as well.
    Biased upwards at finite n: compare only at equal n. `details` has the Monte Carlo error over the projections,
    which is no sampling error. Raises GanevalError for no projections.
    """
    x, y = pair(fake, real)
    parts = directions(x, projections, seed)
    squares = torch.cat([w2_squared(x @ part, y @ part) for part in parts])
    value = math.sqrt(float(squares.mean()))
    error = float(squares.std()) / math.sqrt(projections) / (2 * value) if projections > 1 and value > 0 else 0.0
    details = {"monte_carlo_error": error, "no_interval": COSTLY.format("32")}
    return Estimate(value, None, None, len(x), len(y), details)


def directions(x: Tensor, projections: int, seed: int) -> tuple[Tensor, ...]:
    """Random unit vectors of the rows' dimension, as the columns of matrices (D, 64 or fewer)."""
    if not 1 <= projections <= MOST:
        raise GanevalError(f"projections={projections} of sliced_wasserstein; give 1 to {MOST:,}")
    random = stream(seed)
    vectors = torch.from_numpy(random.standard_normal((x.shape[1], projections))).to(x)
    return (vectors / vectors.norm(dim=0)).split(64, dim=1)


def w2_squared(x: Tensor, y: Tensor) -> Tensor:
    """W_2^2 of each column of x (N, P) and y (M, P): both quantile functions are steps, so the integral is a sum."""
    x, y = _ordered(x), _ordered(y)
    if len(x) == len(y):
        return (x - y).square().mean(0)
    n, m = len(x), len(y)
    # In units of 1 / (n m) every step of either quantile function ends at a whole number.
    ends = torch.cat([torch.arange(1, n + 1) * m, torch.arange(1, m + 1) * n]).unique().to(x.device)
    widths = torch.diff(ends, prepend=ends.new_zeros(1)).double() / (n * m)
    last = ends - 1
    return (widths[:, None] * (x[last // m] - y[last // n]).square()).sum(0)


def _ordered(columns: Tensor) -> Tensor:
    """Each column (N, P) in ascending order, float64."""
    if columns.device.type == "cpu":
        # Values alone and in vectors, ten times as fast as a sort that also tells where each was.
        return torch.from_numpy(np.sort(columns.T.contiguous().numpy(), axis=1)).T.double()
    return columns.double().sort(0).values
