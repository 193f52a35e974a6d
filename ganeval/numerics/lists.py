"""Lists of nearest neighbours, merged from block to block of the distances, and settled where rounding could decide."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganeval.numerics.pairwise import FEW, Centred, across, exact_squares, few_true

SPARE = 3
"""Candidates beyond the k wanted, from which the k-th distance is known well enough to leave most others out."""


@dataclass(frozen=True)
class Near:
    """Of the images `of`, the L nearest of `among`: rough squared distances (N, L), ascending, and which, (N, L).

    leave_out: for each image the one of `among` that is not counted (N,), such as itself.
    """

    of: Centred
    among: Centred
    squares: Tensor
    index: Tensor
    leave_out: Tensor | None

    @classmethod
    def unknown(cls, of: Centred, among: Centred, length: int, leave_out: Tensor | None = None) -> Near:
        squares = of.centre.new_full((len(of.rows), length), math.inf)
        return cls(of, among, squares, torch.zeros_like(squares, dtype=torch.int64), leave_out)

    @classmethod
    def themselves(cls, images: Centred, length: int) -> Near:
        """Of images among themselves."""
        return cls.unknown(images, images, length, torch.arange(len(images.rows), device=images.rows.device))

    @property
    def others(self) -> int:
        """How many images of `among` are counted for each image."""
        return len(self.among.rows) - (self.leave_out is not None)

    def merge(self, rows: slice, more: Tensor, start: int) -> None:
        """Puts the distances `more`, from the images `rows` to those from number `start` on, into their lists."""
        squares, index, length = self.squares[rows], self.index[rows], self.squares.shape[1]
        few = _nearer(more, squares[:, -1:], 4 * length)
        values, places = few or more.topk(min(length, more.shape[1]), largest=False)
        self.squares[rows], order = torch.cat([squares, values], 1).topk(length, largest=False)
        self.index[rows] = torch.cat([index, places + start], 1).gather(1, order)

    def slack(self, squares: Tensor, rows: Tensor | slice = slice(None)) -> Tensor:
        """How far off rough squared distances (N, ...) from the rows (N,) may be, at most: to whichever image it is.

        ||b||^2 <= 2 ||a||^2 + 2 ||a - b||^2 in the bound of `rounding`; as much again for the roughness of `squares`.
        """
        norms = self.of.norms[rows].view(-1, *(1 for _ in squares.shape[1:]))
        return (self.of.rounding * (3.01 * norms + 2.1 * squares) + self.of.underflow).to(squares.dtype)

    def hidden(self, k: int) -> Tensor:
        """The images (H,) whose rough distance to the k-th nearest can't be told from 0."""
        squares = self.squares[:, k - 1]
        return (squares <= self.slack(squares)).nonzero()[:, 0]

    def copied(self, rows: Tensor, k: int) -> int:
        """How many of the images `rows` (R,) are at distance 0 from k others in their lists."""
        index = self.index[rows]
        squares = exact_squares(self.of.rows, rows.repeat_interleave(index.shape[1]), self.among.rows, index.ravel())
        return int(((squares.view_as(index) == 0).sum(1) >= k).sum())

    def settled(self, rows: Tensor, k: int) -> Tensor:
        """The squared distance from each of the images `rows` (R,) to the k-th nearest, exactly: (R,), float64."""
        rough = self.squares[rows].double()
        low, high = rough - self.slack(rough, rows), rough + self.slack(rough, rows)
        # What may be the k-th; where that may be one that is not listed, all images are looked at again.
        maybe = (low <= high[:, k - 1 : k]) & (high >= low[:, k - 1 : k])
        short = maybe[:, -1] & (rough.shape[1] < self.others)
        maybe &= ~short[:, None]
        values = torch.where(high < low[:, k - 1 : k], -math.inf, math.inf).double()
        r, place = maybe.nonzero().T
        values[r, place] = exact_squares(self.of.rows, rows[r], self.among.rows, self.index[rows[r], place])
        found = values.kthvalue(k).values
        for part in _few(short):
            found[part] = self._among_all(rows[part], k).kthvalue(k).values
        return found

    def nearest(self, k: int) -> tuple[Tensor, Tensor]:
        """The exact squared distances (N, k), float64, ascending, to the k nearest, and which; the first of equals."""
        index, order = self.index.sort(dim=1)
        each = torch.arange(len(index), device=index.device)[:, None].expand_as(index)
        squares = exact_squares(self.of.rows, each.ravel(), self.among.rows, index.ravel()).view_as(index)
        squares[self.squares.gather(1, order).isinf()] = math.inf
        squares, order = squares.sort(dim=1, stable=True)
        squares, index = squares[:, :k], index.gather(1, order[:, :k])
        if self.squares.shape[1] < self.others:
            # An image that is not listed is not nearer than the last that is, but for rounding.
            last = squares[:, -1:]
            short = self.squares[:, -1:].double() <= last + self.slack(last)
            for part in _few(short[:, 0]):
                first = self._among_all(part, k).sort(dim=1, stable=True)
                squares[part], index[part] = first.values[:, :k], first.indices[:, :k]
        return squares, index

    def _among_all(self, rows: Tensor, k: int) -> Tensor:
        """The exact squared distances (R, M) of what may be among the k nearest by all distances in float64, or inf."""
        centre = self.of.centre.double()
        of, among = Centred.about(self.of.rows[rows], centre), Centred.about(self.among.rows, centre)
        rough = torch.cat([of.rough(all_rows, among, columns, p) for all_rows, columns, p in across(of, among)], 1)
        if self.leave_out is not None:
            rough[torch.arange(len(rows), device=rows.device), self.leave_out[rows]] = math.inf
        first = rough.topk(min(k + SPARE, rough.shape[1]), largest=False).indices
        maybe = torch.zeros_like(rough, dtype=torch.bool).scatter_(1, first, True)
        bound = of.rounding * (of.norms[:, None] + among.norms) + of.underflow
        for _ in range(2):
            # From the first few the k-th is known from above, so that few others can be nearer; none, than copies.
            values = torch.full_like(rough, math.inf)
            r, place = (maybe & (rough < math.inf)).nonzero().T
            values[r, place] = exact_squares(of.rows, r, among.rows, place)
            most = values.kthvalue(k).values
            maybe |= (rough - bound).clamp(min=0) < most[:, None]
        return values


def _nearer(squares: Tensor, last: Tensor, most: int) -> tuple[Tensor, Tensor] | None:
    """Of each row of squares (N, M) what is below `last` (N, 1), moved to the left, and its columns, (N, width).

    None where that is more than `most` in a row, as while lists are not full.
    """
    if bool(last.isinf().any()):
        return None
    i, j = few_true(squares < last)
    counts = torch.bincount(i, minlength=len(squares))
    width = int(counts.max())
    if width > most:
        return None
    place = torch.arange(len(i), device=i.device) - (counts.cumsum(0) - counts)[i]
    values, columns = squares.new_full((len(squares), width), math.inf), j.new_zeros(len(squares), width)
    values[i, place], columns[i, place] = squares[i, j], j
    return values, columns


def _few(which: Tensor) -> tuple[Tensor, ...]:
    """The numbers of the rows that are so (N,), FEW at a time."""
    rows = which.nonzero()[:, 0]
    return rows.split(FEW) if len(rows) else ()
