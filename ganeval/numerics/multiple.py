"""Many tests at once: p-values adjusted so that any false finding among them is as rare as that of one test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float] | np.ndarray) -> list[float]:
    """Holm's adjusted p-values (1979, Scand. J. Stat. 6:65), in the given order: max over j <= i of
    min(1, (m - j + 1) p_(j))."""
    p = np.asarray(p_values, float)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1, np.maximum.accumulate(np.arange(len(p), 0, -1) * p[order]))
    return adjusted.tolist()
