"""The nearest rows of another set, and how far they are."""

from __future__ import annotations

import math

from torch import Tensor

from ganeval.numerics.lists import SPARE, Near
from ganeval.numerics.pairwise import Centred, across


def nearest(x: Tensor, y: Tensor, k: int, *, leave_out: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Distances (N, k), float64, ascending, from each row of x (N, D) to its k nearest in y (M, D), and which (N, k).

    leave_out: int64 (N,), a row of y for each row of x that is not counted, such as the row itself where x is of y.
    Candidates come from matrix products in the rows' own precision; distances are taken in float64 from the
    differences, so a copy is at 0 exactly, and where rounding could have lost a candidate all rows are looked at again.
    Of equally near rows the first counts, unless more than k + SPARE are.
    """
    of, among = Centred.both(x, y)
    near = Near.unknown(of, among, min(k + SPARE, len(y)), leave_out)
    for rows, columns, products in across(of, among):
        squares = of.rough(rows, among, columns, products)
        if leave_out is not None:
            places = leave_out[rows] - columns.start
            inside = ((places >= 0) & (places < squares.shape[1])).nonzero()[:, 0]
            squares[inside, places[inside]] = math.inf
        near.merge(rows, squares, columns.start)
    found, index = near.nearest(k)
    return found.sqrt(), index
