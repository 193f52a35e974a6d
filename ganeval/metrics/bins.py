"""Number of statistically different bins."""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import ndtri, rel_entr

from ganeval.errors import GanevalError
from ganeval.numerics.inputs import Array, pair
from ganeval.numerics.kmeans import kmeans
from ganeval.numerics.moments import ROWS, mean
from ganeval.types import Estimate


def ndb(fake: Array, real: Array, *, bins: int = 100, alpha: float = 0.05, seed: int = 0) -> Estimate:
    """NDB / K (Richardson and Weiss, 2018, arXiv:1805.12462): the share of bins whose two proportions differ; lower.

    k-means on the real features (M, D) makes the K bins; each of the fake features (N, D) falls to the nearest centre;
    a bin differs where a two-proportion z-test at level alpha says so. Range 0 to 1; two equal distributions give
    about alpha, not 0. `details` has the count, the Jensen-Shannon divergence in nats, and the bins used: at most
    a tenth of the real images, so that a bin expects ten.

    The bins are fitted to the real images that are then counted, as in the paper; this favours the real side a little.
    No standard error: the bins' tests depend on each other. Raises GanevalError for under 20 real images, or bins < 2.
    """
    fakes, reals = pair(fake, real)
    # About their mean, for scikit-learn's distances lose digits far from 0; and by a power of two, which changes none,
    # to about 1, for the squares of float32 overflow above 1e19 and vanish below 1e-22.
    middle = mean(reals)
    x, y = (torch.cat([(block - middle).to(rows.dtype) for block in rows.split(ROWS)]).cpu().numpy()
            for rows in (fakes, reals))  # fmt: skip
    _, exponent = np.frexp(max(y.max(), -y.min()))
    x, y = np.ldexp(x, -exponent), np.ldexp(y, -exponent)
    if not 0 < alpha < 1:
        raise GanevalError(f"alpha={alpha} of ndb; give a probability, such as 0.05")
    if bins < 2 or len(y) < 20:
        raise GanevalError(f"ndb needs 2 bins and 20 reference images or more, got bins={bins} and {len(y)} images")
    used = min(bins, len(y) // 10)
    means = kmeans(y, used, n_init=1, seed=seed)
    q = np.bincount(means.labels_, minlength=used) / len(y)
    p = np.bincount(means.predict(x), minlength=used) / len(x)
    different = int(differs(p, len(x), q, len(y), alpha).sum())
    divergence = float(rel_entr([p, q], (p + q) / 2).sum() / 2)
    details = {"different_bins": different, "bins": used, "js_divergence": divergence,
               "no_interval": "the bins' tests depend on each other"}  # fmt: skip
    if used < bins:
        details["note"] = f"{used} bins instead of {bins}: the reference has only {len(y)} images"
    return Estimate(different / used, None, None, len(x), len(y), details)


def differs(p: np.ndarray, n: int, q: np.ndarray, m: int, alpha: float) -> np.ndarray:
    """Two-sided two-proportion z-test with the pooled variance, for each bin."""
    pooled = (p * n + q * m) / (n + m)
    error = np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return np.abs(p - q) > -ndtri(alpha / 2) * error
