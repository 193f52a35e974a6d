"""Lists of nearest neighbours, merged from block to block of the distances."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ganeval.metrics._pairwise import half_blocks, squared_distances

Near = tuple[Tensor, Tensor]
"""Squared distances from each image to its L nearest of a set, ascending, and which they are, both (N, L)."""


def unknown(n: int, length: int, like: Tensor) -> Near:
    distances = like.new_full((n, length), math.inf, dtype=torch.float64)
    return distances, torch.zeros_like(distances, dtype=torch.int64)


def merge(near: Near, rows: slice, more: Tensor, start: int) -> None:
    """Puts the distances `more`, from the images `rows` to those from number `start` on, into their lists."""
    length = near[0].shape[1]
    few = more.topk(min(length, more.shape[1]), largest=False)
    distances = torch.cat([near[0][rows], few.values], 1).topk(length, largest=False)
    near[1][rows] = torch.cat([near[1][rows], few.indices + start], 1).gather(1, distances.indices)
    near[0][rows] = distances.values


def nearest_within(x: Tensor, length: int) -> Near:
    """Of the other rows of x."""
    near = unknown(len(x), length, x)
    for rows, columns, d in half_blocks(x, squared_distances):
        if rows == columns:
            d.fill_diagonal_(math.inf)
        else:
            merge(near, columns, d.T, rows.start)
        merge(near, rows, d, columns.start)
    return near
