"""Distances and kernels between all pairs of rows, a block at a time.

A block is at most BLOCK x BLOCK numbers, made from GROUP + 1 blocks of rows (D x BLOCK), so memory does not grow with
N: at D = 2048 some 105 MB of tensors at a time, by which a process was seen to grow up to 270 MB, beside the features.

`squared_distances` is right to the last digits, in float64. `Centred` multiplies rows in their own precision, which
from float32 takes half the time, and knows how far off its distances may be: what that could decide, `exact_squares`
decides.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import linear

from ganeval.numerics.moments import FEW, mean

BLOCK = 1536
CANCELLED = 1e-9
"""A squared distance below this share of the norms has lost its digits to cancellation."""
LOST = 2e-6
"""How far rounding may move a cosine or a kernel's exponent, to a small factor, before it is taken from float64."""
TERMS = 1024
"""Columns that are multiplied at a time: the fewer products a sum has, the less it is off by at worst."""
GROUP = 4
"""Blocks of rows that are held for `products` at a time."""
STRIP = 256
"""Rows of a block at a time, where that spares work or memory traffic."""
Factor = tuple[Tensor, ...]
"""What `Centred.factor` makes of rows, for `products`."""


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


def exact_squares(x: Tensor, i: Tensor, y: Tensor, j: Tensor) -> Tensor:
    """||x_i - y_j||^2 of pairs of rows (P,), from the differences, in float64: the same for the same two rows."""
    parts = zip(i.split(FEW), j.split(FEW), strict=True)
    return torch.cat([(x.index_select(0, a).double() - y.index_select(0, b)).square_().sum(1) for a, b in parts])


def distances(a: Tensor, b: Tensor) -> Tensor:
    """||a_i - b_j||, float64 (N, M)."""
    return torch.cat([squared_distances(part, b).sqrt() for part in a.split(BLOCK)])


def unit(rows: Tensor) -> Tensor:
    """Each row scaled to length 1, float64."""
    rows = rows.double()
    rows = rows / rows.abs().amax(1, keepdim=True)  # the squares of float64 overflow and vanish, too
    return rows / rows.norm(dim=1, keepdim=True)


@dataclass(frozen=True)
class Centred:
    """Rows (N, D) and a point c in their midst (D,), from which products lose least.

    norms (N,): ||x_i - c||^2; along (N,): (x_i - c).c; both float64. The products are in the centre's type: float64
    where float32 ones would overflow or vanish.
    """

    rows: Tensor
    centre: Tensor
    norms: Tensor
    along: Tensor

    @classmethod
    def both(cls, x: Tensor, y: Tensor) -> tuple[Centred, Centred]:
        """About the mean of y."""
        centre = mean(y).to(y.dtype)
        first, second = cls.about(x, centre), cls.about(y, centre)
        in_range = all(1e-20 < float(side.norms.max()) < 1e30 for side in (first, second))
        if in_range:
            return first, second
        return cls.about(x, centre.double()), cls.about(y, centre.double())

    @classmethod
    def about(cls, rows: Tensor, centre: Tensor) -> Centred:
        """About a point of the caller's."""
        norms, along = [], []
        for block in rows.split(FEW):
            centred = (block - centre).double()
            norms.append(centred.square().sum(1))
            along.append(centred @ centre.double())
        return cls(rows, centre, torch.cat(norms), torch.cat(along))

    def some(self, which: Tensor) -> Centred:
        """Those of the rows that an index or a mask picks."""
        return Centred(self.rows[which], self.centre, self.norms[which], self.along[which])

    @cached_property
    def lengths(self) -> Tensor:
        """||x_i||, (N,), float64."""
        return torch.cat([block.double().norm(dim=1) for block in self.rows.split(FEW)])

    @property
    def roundings(self) -> int:
        """n of `rounding`: of a sum of TERMS products, in any order, then of D / TERMS such sums, and 64 more.

        Those hold the rounding of the centred rows (4), of the norms and of their sum, and that of `exact_squares`
        where all is float64. FMA only rounds less.
        """
        return min(TERMS, len(self.centre)) + len(self.centre) // TERMS + 64

    @property
    def rounding(self) -> float:
        """e of |rough - exact| <= e (||x_i - c||^2 + ||y_j - c||^2) for the squared distances from `products`.

        Twice a product is off by at worst n u / (1 - n u) of ||a||^2 + ||b||^2, u the unit roundoff (Higham, 2002,
        eq. 3.5).
        """
        return 1.01 * self.roundings * torch.finfo(self.centre.dtype).eps / 2

    @property
    def underflow(self) -> float:
        """What the bound of `rounding` leaves out: products that are too small for their type, and vanish."""
        return 4 * len(self.centre) * torch.finfo(self.centre.dtype).tiny

    def factor(self, rows: slice) -> Factor:
        """The centred rows, in the centre's type, as `products` takes them: TERMS columns at a time."""
        parts = zip(self.rows[rows].split(TERMS, 1), self.centre.split(TERMS), strict=True)
        return tuple(laid_out(part - centre) for part, centre in parts)

    def gram(self, rows: slice) -> Tensor:
        """The products of the rows with themselves: each pair once, but for those within a strip."""
        n = rows.stop - rows.start
        found = self.centre.new_empty(n, n)
        strips = [(slice(some.start - rows.start, some.stop - rows.start), self.factor(some))
                  for some in slices(rows.stop, rows.start, STRIP)]  # fmt: skip
        for at, (i, a) in enumerate(strips):
            for j, b in strips[at:]:
                found[i, j] = part = products(a, b)
                found[j, i] = part.T
        return found

    def rough(self, rows: slice, other: Centred, columns: slice, products: Tensor) -> Tensor:
        """Squared distances from a block of `products`, in their type."""
        norms = self.norms[rows, None].to(products.dtype)
        return torch.add(norms, products, alpha=-2).add_(other.norms[columns].to(products.dtype))

    def dots(
        self, rows: slice, other: Centred, columns: slice, products: Tensor, scale: float = 1.0, more: float = 0.0
    ) -> Tensor:
        """scale x_i.y_j + more, float64, from a block of `products` about the common centre."""
        constant = (other.along[columns] + self.centre.double().square().sum()) * scale + more
        return widened(products, scale, self.along[rows] * scale, constant)

    def longer(self, rows: slice) -> float:
        """How much longer than rows may be what is rounded in their place: these about the centre, and it."""
        return 1 + float((self.norms[rows].sqrt() / self.lengths[rows]).max())

    def cosines(self, rows: slice, other: Centred, columns: slice, products: Tensor) -> Tensor:
        """x_i.y_j / (||x_i|| ||y_j||), float64, from a block of `products` about the common centre."""
        if rounding_shows(products, self.longer(rows) * other.longer(columns)):
            return unit(self.rows[rows]) @ unit(other.rows[columns]).T
        return self.dots(rows, other, columns, products).div_(self.lengths[rows, None]).div_(other.lengths[columns])


def widened(products: Tensor, scale: float, of_rows: Tensor, of_columns: Tensor) -> Tensor:
    """scale p_ij + a_i + b_j, float64, of a block of products (N, M), the numbers of its rows and of its columns."""
    # Widened first: adding float32 to float64 takes three times as long.
    wide = products.to(torch.float64, copy=True)
    return torch.add(of_rows[:, None], wide, alpha=scale, out=wide).add_(of_columns)


def rounding_shows(products: Tensor, size: float, scale: float = 1.0) -> bool:
    """Whether rounding in the products' type, of numbers of such a size, would show in what is divided by `scale`."""
    return torch.finfo(products.dtype).eps * size > LOST * scale


def laid_out(rows: Tensor) -> Tensor:
    """For oneDNN, which on AMD's processors takes three quarters of the time of MKL, which `@` calls."""
    to_be_had = rows.device.type == "cpu" and rows.dtype == torch.float32 and torch.backends.mkldnn.is_available()
    return rows.to_mkldnn() if to_be_had else rows


def products(a: Factor, b: Factor) -> Tensor:
    """a b', (N, M)."""
    found = reduce(Tensor.add_, map(linear, a, b))
    return found.to_dense() if found.is_mkldnn else found


class Taker(Protocol):
    """What reads the blocks of one pass: of the sides, 0 and 1, with themselves, and then of both."""

    @property
    def sides(self) -> Collection[int]: ...

    def within(self, side: int, rows: slice, columns: slice, products: Tensor) -> None: ...

    def across(self, rows: slice, columns: slice, products: Tensor) -> None: ...


def one_pass(x: Centred, y: Centred, takers: Sequence[Taker]) -> None:
    """Gives all takers the products of each block, which none of them may change.

    Of a side with itself, those on and above the diagonal; the others are their transposes.
    """
    for side, z in enumerate((x, y)):
        asked = [taker for taker in takers if side in taker.sides]
        for rows, columns, found in within(z) if asked else ():
            for taker in asked:
                taker.within(side, rows, columns, found)
    for rows, columns, found in across(x, y) if takers else ():
        for taker in takers:
            taker.across(rows, columns, found)


def within(x: Centred) -> Iterator[tuple[slice, slice, Tensor]]:
    """(rows, columns, products of the centred x[rows] and x[columns]) on and above the diagonal."""
    for group in groups(x):
        for rows, _ in group:
            yield rows, rows, x.gram(rows)
        for columns in slices(len(x.rows), group[0][0].stop):
            b = next((own for rows, own in group if rows == columns), None) or x.factor(columns)
            for rows, a in group:
                if rows.start < columns.start:
                    yield rows, columns, products(a, b)


def across(x: Centred, y: Centred) -> Iterator[tuple[slice, slice, Tensor]]:
    """(rows, columns, products of the centred x[rows] and y[columns]) over all of x and y."""
    for group in groups(x):
        for columns in slices(len(y.rows)):
            b = y.factor(columns)
            for rows, a in group:
                yield rows, columns, products(a, b)


def groups(x: Centred) -> Iterator[list[tuple[slice, Factor]]]:
    """GROUP blocks of rows at a time, laid out: what they are multiplied with is laid out so many times less often."""
    for group in slices(len(x.rows), size=GROUP * BLOCK):
        yield [(rows, x.factor(rows)) for rows in slices(group.stop, group.start)]


def few_true(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and columns (P,) at which a mask (N, M), bool, is true, in order.

    Eight flags are looked at as one number, which where few are true takes a fifth of the time of `nonzero`. A mask
    that lies in memory by columns is read so.
    """
    if mask.stride() == (1, len(mask)) and mask.shape[1] > 1:
        j, i = few_true(mask.T)
        i, order = i.sort(stable=True)
        return i, j[order]
    if mask.shape[1] % 8 or mask.storage_offset() % 8 or mask.stride() != (mask.shape[1], 1):
        i, j = mask.nonzero().T
        return i, j
    i, eighth = mask.view(torch.int64).nonzero().T
    which, place = mask.unflatten(1, (mask.shape[1] // 8, 8))[i, eighth].nonzero().T
    return i[which], eighth[which] * 8 + place


def slices(stop: int, start: int = 0, size: int | None = None) -> Iterator[slice]:
    """Of BLOCK rows, or of a size of the caller's."""
    size = size or BLOCK
    return (slice(i, min(i + size, stop)) for i in range(start, stop, size))
