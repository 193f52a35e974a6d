"""How close is each image to the training set, are fakes too often the closest, and how many would be seen?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy  # its stats, which take a second to import, come where they are asked for
import torch
from torch import Tensor

from ganeval.memorisation.report import Copies
from ganeval.numerics.intervals import binomial

REACH = 5
"""Closeness is the distance to the nearest training image over that to the REACH-th nearest."""
TAIL = 0.05
"""Share of all images, from the closest on, that the test looks at."""
LEAST = 4
"""Closest images that it begins with."""
RARE = 0.01
"""A fake counts as a copy if it is closer than all but this share of the held-out images."""


Nearest = tuple[Tensor, Tensor]
"""Distances (N, REACH), ascending, to training images, and their rows."""


def either(own: Nearest, mirrored: Nearest, n_train: int) -> Nearest:
    """The REACH nearest of the training images and their mirror images together; rows of these count from n_train."""
    distances, order = torch.cat([own[0], mirrored[0]], 1).sort(dim=1, stable=True)
    rows = torch.cat([own[1], mirrored[1] + n_train], 1).gather(1, order)
    return distances[:, :REACH], rows[:, :REACH]


def closeness(distances: np.ndarray) -> np.ndarray:
    """Distance to the nearest training image over that to the REACH-th, 0 to 1, of ascending distances (N, REACH).

    The neighbourhood's own distances make it blind to where images are dense, to noise on all of them, and to contrast.
    A copy of REACH equal training images is at 0 from all of them, and then 0.
    """
    return np.divide(distances[:, 0], distances[:, -1], out=np.zeros(len(distances)), where=distances[:, -1] > 0)


def one_each(train_rows: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Of the images with the same nearest training image (N,), the first in `order`, a random one: their rows.

    A collapsed generator makes one image many times over, which is no more evidence of copying than once.
    """
    _, first = np.unique(train_rows[order], return_index=True)
    return order[first]


def cutoffs(n: int, m: int) -> list[int]:
    """How many of the n + m closest images are looked at: LEAST, twice that, and so on up to TAIL of them."""
    largest = max(LEAST, int(TAIL * (n + m)))
    return [min(LEAST << i, n + m) for i in range((largest // LEAST).bit_length())]


def closest_test(fake: np.ndarray, held_out: np.ndarray) -> tuple[float, float | None]:
    """p-value that fakes (N,) are no oftener among the closest images than held-out ones (M,), and the ratio.

    Of the L smallest of both, k are fakes; if both come from one distribution, k is hypergeometric. For each L of
    `cutoffs` P(K >= k), the smallest of them times their number (Bonferroni): valid at any N and M. Images that tie
    with the L-th are all counted. ratio: (k / N) / ((L - k) / M) at the smallest, None where L = k.
    """
    n, m = len(fake), len(held_out)
    both = np.sort(np.concatenate([fake, held_out]))
    tests = cutoffs(n, m)
    p, ratio = 1.0, 1.0
    for limit in dict.fromkeys(both[size - 1] for size in tests):
        k, others = int((fake <= limit).sum()), int((held_out <= limit).sum())
        chance = float(scipy.stats.hypergeom.sf(k - 1, n + m, n, k + others)) * len(tests)
        if chance < p:
            p, ratio = chance, (k / n) / (others / m) if others else np.inf
    return p, float(ratio) if np.isfinite(ratio) else None


def count_copies(fake: np.ndarray, held_out: np.ndarray) -> Copies:
    """The fakes and the held-out images that are closer than the RARE quantile of the held-out ones."""
    n, m = len(fake), len(held_out)
    limit = float(np.sort(held_out)[int(RARE * m)])
    a, b = int((fake < limit).sum()), int((held_out < limit).sum())
    p, q = a / n, b / m
    (_, (low_p, high_p)), (_, (low_q, high_q)) = binomial(p, n), binomial(q, m)
    low = p - q - np.hypot(p - low_p, high_q - q)
    high = p - q + np.hypot(high_p - p, q - low_q)
    share, low, high = (float(np.clip(value / (1 - q), 0, 1)) for value in (p - q, low, high))
    return Copies(a, b, limit, share, (low, high))


def needed(n: int, m: int, alpha: float) -> int:
    """The number of copies, closer than every held-out image, that the test always finds: a p-value within alpha."""
    tests = cutoffs(n, m)
    return min(_enough(n, m, size, alpha / len(tests)) for size in tests)


def _enough(n: int, m: int, size: int, level: float) -> int:
    k = np.arange(size + 1)
    found = scipy.stats.hypergeom.sf(k - 1, n + m, n, size) <= level
    return int(k[found][0]) if found.any() else n + 1


def detectable(n: int, m: int, alpha: float) -> float | None:
    """The smallest share of such copies, of 1/1000 steps, that is found 8 times in 10; None where none is."""
    least = needed(n, m, alpha)
    return next((share for share in _shares() if scipy.stats.binom.sf(least - 1, n, share) >= 0.8), None)


def _shares() -> Iterator[float]:
    return (i / 1000 for i in range(1, 1001))
