"""Standard errors and confidence intervals that several metrics share."""

from __future__ import annotations

import math

from scipy.special import ndtri, stdtrit

from ganeval.types import LEVEL

Z = float(ndtri(0.5 + LEVEL / 2))
"""The normal quantile of a two-sided interval at LEVEL: 1.96."""


def normal(value: float, std_error: float) -> tuple[float, float]:
    """value +- Z std_error."""
    return value - Z * std_error, value + Z * std_error


def student(freedom: float) -> float:
    """Student's quantile in place of Z, for a standard error with so many degrees of freedom."""
    return float(stdtrit(freedom, 0.5 + LEVEL / 2))


def binomial(share: float, n: float, quantile: float = Z) -> tuple[float, tuple[float, float]]:
    """Standard error sqrt(p (1 - p) / n) of a share of n independent trials, and Wilson's interval (1927).

    n may be the effective number of trials that depend on each other, and quantile Student's for its uncertainty.
    Wilson's interval stays within [0, 1] and does not vanish at 0 and 1, where the standard error does.
    """
    std_error = math.sqrt(share * (1 - share) / n)
    weight = quantile * quantile / n
    centre = (share + weight / 2) / (1 + weight)
    half = quantile * math.sqrt(share * (1 - share) / n + weight / (4 * n)) / (1 + weight)
    return std_error, (max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)))
