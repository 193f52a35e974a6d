"""k-means as the metrics take it."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning


def kmeans(rows: np.ndarray, k: int, *, n_init: int, seed: int) -> KMeans:
    """Fitted to rows (M, D). Fewer distinct rows than k leave clusters empty, in which nothing is counted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return KMeans(k, n_init=n_init, random_state=seed).fit(rows)
