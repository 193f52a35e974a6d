"""k-means as the metrics take it."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from ganeval.numerics.inputs import stream

if TYPE_CHECKING:
    from sklearn.cluster import KMeans

SEEDED = 3000
"""Rows among which the first centres are drawn (or PER_CLUSTER for each, if more): k-means++ reads them k times, which
of all rows costs several times what the iterations do, and ended no nearer: by 1.4% +- 1.4% in 24 mixtures of 100."""
PER_CLUSTER = 30
SKETCHED = 256
"""Random directions in which distances between those rows are taken, where there are more features (Boutsidis et al.,
2010, arXiv:1011.4632): they keep them to about 9%, and k-means ended 0.5% +- 0.3% further in 16 mixtures of 100."""


def kmeans(rows: np.ndarray, k: int, *, n_init: int, seed: int) -> KMeans:
    """Fitted to rows (M, D). Fewer distinct rows than k leave clusters empty, in which nothing is counted."""
    # Here, for scikit-learn takes most of a second to import, and few metrics need it.
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return KMeans(k, init=_first_centres, n_init=n_init, random_state=stream(seed)).fit(rows)


def _first_centres(rows: np.ndarray, k: int, random_state: np.random.RandomState) -> np.ndarray:
    from sklearn.cluster import kmeans_plusplus

    if len(rows) > (most := max(SEEDED, PER_CLUSTER * k)):
        rows = rows[random_state.choice(len(rows), most, replace=False)]
    # Widened once: scikit-learn widens rows of float32 anew for each centre, which doubles the time.
    sketch = rows.astype(np.float64, copy=False)
    if rows.shape[1] > SKETCHED:
        sketch = sketch @ random_state.standard_normal((rows.shape[1], SKETCHED))
    return rows[kmeans_plusplus(sketch, k, random_state=random_state)[1]]
