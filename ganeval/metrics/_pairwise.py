"""Distances and kernels between all pairs of rows, a block at a time.

A block is at most BLOCK x BLOCK float64 numbers (8 MB) and the two float64 row blocks that made it (D x BLOCK), so
memory does not grow with N: under 100 MB at N = 50,000 and D = 2048, beside the features themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

BLOCK = 1024
CANCELLED = 1e-9
"""A squared distance below this share of the norms has lost its digits to cancellation."""

Pairwise = Callable[[Tensor, Tensor], Tensor]


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """||a_i - b_j||^2, float64 (N, M), by one matrix product; near-zero ones again from the differences.

    So a copy is at distance 0 exactly, and the tie between two copies is a tie.
    """
    a, b = a.double(), b.double()
    norms = a.square().sum(1)[:, None] + b.square().sum(1)
    squares = torch.addmm(norms, a, b.T, alpha=-2)
    if not bool((squares.amin(1) <= CANCELLED * norms.amax(1)).any()):
        return squares
    for part in torch.nonzero(squares <= CANCELLED * norms).split(BLOCK):
        i, j = part.T
        squares[i, j] = (a[i] - b[j]).square().sum(1)
    return squares


def distances(a: Tensor, b: Tensor) -> Tensor:
    """||a_i - b_j||, float64 (N, M)."""
    return torch.cat([squared_distances(part, b).sqrt() for part in a.split(BLOCK)])


def unit(rows: Tensor) -> Tensor:
    """Each row scaled to length 1, float64."""
    rows = rows.double()
    return rows / rows.norm(dim=1, keepdim=True)


def blocks(x: Tensor, y: Tensor, pairwise: Pairwise) -> Iterator[tuple[slice, slice, Tensor]]:
    """(rows, columns, pairwise(x[rows], y[columns])) over all of x and y."""
    for i in range(0, len(x), BLOCK):
        for j in range(0, len(y), BLOCK):
            rows, columns = slice(i, min(i + BLOCK, len(x))), slice(j, min(j + BLOCK, len(y)))
            yield rows, columns, pairwise(x[rows], y[columns])


def half_blocks(x: Tensor, pairwise: Pairwise) -> Iterator[tuple[slice, slice, Tensor]]:
    """The blocks of x with itself on and above the diagonal; the others are their transposes."""
    for i in range(0, len(x), BLOCK):
        for j in range(i, len(x), BLOCK):
            rows, columns = slice(i, min(i + BLOCK, len(x))), slice(j, min(j + BLOCK, len(x)))
            yield rows, columns, pairwise(x[rows], x[columns])
