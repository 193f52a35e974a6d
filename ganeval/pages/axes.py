"""Axes of the figures: where a value stands, and which round numbers mark the way."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from ganeval.pages import minus

LOG_FROM = 8.0
"""An axis is logarithmic where its largest value is this many times its smallest."""


@dataclass(frozen=True)
class Axis:
    """Maps values from [low, high] to positions from `start` to `stop`."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    def at(self, value: float) -> float:
        low, high, value = (math.log10(x) if self.log else x for x in (self.low, self.high, value))
        return self.start + (value - low) / (high - low) * (self.stop - self.start)

    def ticks(self, about: int = 6) -> list[float]:
        """Round values within the axis: 1, 2 or 5 times a power of ten; `about` so many where it is linear."""
        if self.log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            steps = (1, 2, 5) if self.high / self.low < 200 else (1,)
            return [t for p in powers for s in steps if self.low <= (t := s * 10.0**p) <= self.high]
        rough = (self.high - self.low) / about
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(s * power for s in (1, 2, 5, 10) if s * power >= rough * 0.999)
        return [i * step for i in range(math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9) + 1)]


def axis(values: Iterable[float], start: float, stop: float, *, log: bool | None = None) -> Axis:
    """An axis that holds all values with a margin; logarithmic where they are positive and far apart."""
    low, high = min(values := list(values)), max(values)
    if log is None:
        log = low > 0 and high / low >= LOG_FROM
    if log:
        margin = (high / low) ** 0.05 if high > low else 1.5
        return Axis(low / margin, high * margin, start, stop, log=True)
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return Axis(low - margin, high + margin, start, stop)


def tick_text(value: float) -> str:
    """1200000 as 1.2M, 0.1 as 0.1, -5 with a true minus."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= 10 * size or (abs(value) >= size and letter == "M"):
            return minus(f"{value / size:.6g}{letter}")
    return minus(f"{value:.6g}") if value else "0"
