"""The difference of a metric between two sets of fakes that share a reference, and its test."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import ndtr
from torch import Tensor

from ganeval.comparison.influence import Influence
from ganeval.numerics.intervals import normal
from ganeval.registry import Better, badness


@dataclass(frozen=True)
class Difference:
    """a - b, its standard error, interval and two-sided p-value; n fakes in each."""

    a: float
    b: float
    std_error: float
    p_value: float
    n_a: int
    n_b: int

    @property
    def value(self) -> float:
        return self.a - self.b

    @property
    def interval(self) -> tuple[float, float]:
        return normal(self.value, self.std_error)


def difference(a: Influence, b: Influence, better: Better, *, paired: bool) -> Difference:
    """var(f_A) / N_A + var(f_B) / N_B + var(r_A - r_B) / M, f and r the influences of fakes and of real images.

    The real images' influences on A and on B are subtracted image by image, so what the reference does to both drops
    out; paired, the fakes' too. What is known to be noise of the influences is taken off: for the neighbours, whose
    votes are independent given the other side, that side's; for U-statistics the second order, which is counted twice,
    once, but not below what it is alone. Neither is known of pairs, whose error stays on the large side.
    The p-value is that of a normal z. A metric that is a square root is tested as its square: the difference of the
    roots is that of the squares over the sum of the roots, and so is its standard error.
    A metric that is best at 0.5 has two ways to be equal, a = b and a = 1 - b; the p-value is the larger of the two.
    """
    values, std_error = (a.value, b.value), math.sqrt(_variance(a, b, -1, paired))
    p_value = _two_sided(a.value - b.value, std_error)
    if better == "half":
        p_value = max(p_value, _two_sided(a.value + b.value - 1, math.sqrt(_variance(a, b, 1, paired))))
    if a.root:
        values = math.sqrt(a.value), math.sqrt(b.value)
        std_error = std_error / sum(values) if sum(values) > 0 else 0.0
    return Difference(*values, std_error, p_value, a.images or a.n, b.images or b.n)


def _variance(a: Influence, b: Influence, sign: int, paired: bool) -> float:
    """Of a + sign b."""
    shared = 0.0 if a.real is None or b.real is None else _over(a.real + sign * b.real, a.m)
    if paired:
        return _over(a.fake + sign * b.fake, a.n) + shared
    fakes = sum(max(0.0, _over(side.fake, side.n) - side.noise[0]) for side in (a, b))
    first = fakes + max(0.0, shared - a.noise[1] - b.noise[1])
    second = a.second + b.second
    return max(first - (2 - a.kept) * second, a.kept * second)


def _over(influences: Tensor, n: int) -> float:
    return float(influences.var()) / n


def _two_sided(value: float, std_error: float) -> float:
    if std_error == 0:
        return 1.0 if value == 0 else 0.0
    return float(2 * ndtr(-abs(value) / std_error))


def nearer(a: float, b: float, better: Better) -> str:
    """Which of the two values, "A" or "B", is the better one; "" where they are equal."""
    bad_a, bad_b = badness(a, better), badness(b, better)
    return "" if bad_a == bad_b else "A" if bad_a < bad_b else "B"
