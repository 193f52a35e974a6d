"""Lists of nearest neighbours, merged from block to block of the distances, and settled where rounding could decide."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganeval.metrics._pairwise import FEW, Centred, across, exact_squares

SPARE = 3
"""Candidates beyond the k wanted, from which the k-th distance is known well enough to leave most others out."""


@dataclass(frozen=True)
class Near:
    """Of the images `of`, the L nearest of `among`: rough squared distances (N, L), ascending, and which, (N, L)."""

    of: Centred
    among: Centred
    squares: Tensor
    index: Tensor

    @classmethod
    def unknown(cls, of: Centred, among: Centred, length: int) -> Near:
        squares = of.centre.new_full((len(of.rows), length), math.inf)
        return cls(of, among, squares, torch.zeros_like(squares, dtype=torch.int64))

    def merge(self, rows: slice, more: Tensor, start: int) -> None:
        """Puts the distances `more`, from the images `rows` to those from number `start` on, into their lists."""
        squares, index, length = self.squares[rows], self.index[rows], self.squares.shape[1]
        i, j = (more < squares[:, -1:]).nonzero().T
        counts = torch.bincount(i, minlength=len(more))
        most = int(counts.max())
        if most > 4 * length:
            values, places = more.topk(min(length, more.shape[1]), largest=False)
        else:
            # What is nearer than the last of its list, moved to the left.
            place = torch.arange(len(i), device=i.device) - (counts.cumsum(0) - counts)[i]
            values, places = squares.new_full((len(more), most), math.inf), index.new_zeros(len(more), most)
            values[i, place], places[i, place] = more[i, j], j
        self.squares[rows], order = torch.cat([squares, values], 1).topk(length, largest=False)
        self.index[rows] = torch.cat([index, places + start], 1).gather(1, order)

    def slack(self, squares: Tensor, rows: Tensor | slice = slice(None)) -> Tensor:
        """How far off rough squared distances (N, ...) from the rows (N,) may be, at most: to whichever image it is.

        ||b||^2 <= 2 ||a||^2 + 2 ||a - b||^2 in the bound of `rounding`; as much again for the roughness of `squares`.
        """
        norms = self.of.norms[rows].view(-1, *(1 for _ in squares.shape[1:]))
        return (self.of.rounding * (3.01 * norms + 2.1 * squares) + self.of.underflow).to(squares.dtype)

    def settled(self, rows: Tensor, k: int) -> Tensor:
        """The squared distance from each of the images `rows` (R,) to the k-th nearest, exactly: (R,), float64."""
        rough = self.squares[rows].double()
        low, high = rough - self.slack(rough, rows), rough + self.slack(rough, rows)
        # What may be the k-th; where that may be one that is not listed, all images are looked at again.
        maybe = (low <= high[:, k - 1 : k]) & (high >= low[:, k - 1 : k])
        short = maybe[:, -1] & (rough.shape[1] < len(self.among.rows) - (self.of is self.among))
        maybe &= ~short[:, None]
        values = torch.where(high < low[:, k - 1 : k], -math.inf, math.inf).double()
        r, place = maybe.nonzero().T
        values[r, place] = exact_squares(self.of.rows, rows[r], self.among.rows, self.index[rows[r], place])
        found = values.kthvalue(k).values
        for part in short.nonzero()[:, 0].split(FEW) if bool(short.any()) else ():
            found[part] = self._among_all(rows[part], k)
        return found

    def _among_all(self, rows: Tensor, k: int) -> Tensor:
        """`settled` from all distances in float64; of those, what may be among the k nearest, from the differences."""
        centre = self.of.centre.double()
        of, among = Centred.about(self.of.rows[rows], centre), Centred.about(self.among.rows, centre)
        rough = torch.cat([of.rough(all_rows, among, columns, p) for all_rows, columns, p in across(of, among)], 1)
        if self.of is self.among:
            rough[torch.arange(len(rows), device=rows.device), rows] = math.inf
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
        return most
