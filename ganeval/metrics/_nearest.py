"""The nearest rows of another set, and how far they are."""

from __future__ import annotations

import torch
from torch import Tensor

from ganeval.metrics._pairwise import BLOCK

SPARE = 3
"""Candidates beyond the k wanted, so that rounding in the search does not lose a neighbour."""
ROWS = 128


def nearest(x: Tensor, y: Tensor, k: int, *, leave_out: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Distances (N, k), float64, ascending, from each row of x (N, D) to its k nearest in y (M, D), and which (N, k).

    leave_out: int64 (N,), a row of y for each row of x that is not counted, such as the row itself where x is of y.
    Candidates come from matrix products in the rows' own precision, about y's mean; the distances to k + SPARE of them
    are then taken in float64 from the differences, so a copy is at 0 exactly. Of equally near rows the first counts.
    """
    mean = y.mean(0)
    centred, norms = y - mean, (y - mean).square().sum(1)
    wanted = min(k + SPARE, len(y))
    parts = [
        _exact(some, y, _candidates(some - mean, centred, norms, wanted, skip), k, skip)
        for some, skip in zip(x.split(BLOCK), _split(leave_out, len(x)), strict=True)
    ]
    return torch.cat([d for d, _ in parts]), torch.cat([i for _, i in parts])


def _split(leave_out: Tensor | None, n: int) -> list[Tensor | None]:
    return [None] * -(-n // BLOCK) if leave_out is None else list(leave_out.split(BLOCK))


def _candidates(x: Tensor, y: Tensor, norms: Tensor, wanted: int, leave_out: Tensor | None) -> Tensor:
    """Rows of y (N, wanted) with the smallest |y|^2 - 2 x.y, in the order of their numbers."""
    values, rows = x.new_empty(len(x), 0), torch.empty(len(x), 0, dtype=torch.int64, device=x.device)
    for start in range(0, len(y), 4 * BLOCK):
        columns = slice(start, start + 4 * BLOCK)
        apart = torch.addmm(norms[columns], x, y[columns].T, alpha=-2)
        if leave_out is not None:
            inside = torch.nonzero((leave_out >= start) & (leave_out < start + apart.shape[1])).ravel()
            apart[inside, leave_out[inside] - start] = torch.inf
        few, which = apart.topk(min(wanted, apart.shape[1]), largest=False)
        values, rows = torch.cat([values, few], 1), torch.cat([rows, which + start], 1)
        values, kept = values.topk(min(wanted, values.shape[1]), largest=False)
        rows = rows.gather(1, kept)
    return rows.sort(dim=1).values


def _exact(x: Tensor, y: Tensor, rows: Tensor, k: int, leave_out: Tensor | None) -> tuple[Tensor, Tensor]:
    squares = torch.cat([
        (a.double()[:, None] - y[b].double()).square().sum(2)
        for a, b in zip(x.split(ROWS), rows.split(ROWS), strict=True)
    ])  # fmt: skip
    if leave_out is not None:
        squares[rows == leave_out[:, None]] = torch.inf
    squares, order = squares.sort(dim=1, stable=True)
    return squares[:, :k].sqrt(), rows.gather(1, order[:, :k])
