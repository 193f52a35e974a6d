"""Diversity without a reference: the Vendi score."""

from __future__ import annotations

import math

import torch

from ganeval.errors import GanevalError
from ganeval.fp32 import true_fp32
from ganeval.numerics.inputs import Array, matrix
from ganeval.numerics.moments import scatter
from ganeval.numerics.pairwise import BLOCK, unit
from ganeval.types import Estimate

NEAR = 1e-6
"""Orders so near to 1 have the entropy of order 1, to as many digits."""
COSTLY = "how it scatters shows only in repetitions on halves of the set, at over 16 times the metric's cost"


@true_fp32()
def vendi(fake: Array, *, order: float = 1.0) -> Estimate:
    """Vendi score (Friedman and Dieng, 2022, arXiv:2210.02410): the effective number of distinct images.

    exp of the Rényi entropy, of the given order, of the eigenvalues l of K / n, where K holds the cosine similarities
    of the features (N, D): exp(-sum l log l) at order 1, (sum l^q)^(1 / (1 - q)) else, 1 / max l at infinity.
    Range 1 to min(N, D). Higher is more diverse, be it good or bad: noise is diverse too. Grows with N: compare only
    at equal N. Orders above 1 weigh the common kinds, below 1 the rare ones (Pasarkar and Dieng, 2023).

    Computed from the D x D or the N x N matrix, whichever is smaller; their nonzero eigenvalues are the same. From
    float32 features at order 1 the value is right to 1e-4 of itself where all images are alike, its worst case.
    No standard error: no formula is known, and repetitions on halves cost over 16 times the metric.
    Raises GanevalError for a negative order, or an image whose features are all 0.
    """
    x = matrix(fake, "fake")
    if not order >= 0:
        raise GanevalError(f"order={order} of vendi; give 0 or more, or inf")
    if zeros := int((~x.any(1)).sum()):
        raise GanevalError(f"{zeros} image(s) have only zeros as features: no cosine similarity")
    x = torch.cat([unit(block).to(x.dtype) for block in x.split(BLOCK)])
    # Orders below 1 count the smallest eigenvalues, which float32 products put at 1e-8 where they are 0.
    dtype = torch.float64 if order < 1 else None
    gram = x.double() @ x.double().T if len(x) < x.shape[1] else scatter(x, dtype=dtype)
    # Eigenvalues of a Gram matrix below zero are rounding.
    values = torch.linalg.eigvalsh(gram).clamp(min=0)
    # Their sum is N but for rounding, which orders near 1 would magnify without end.
    values /= values.sum()
    if abs(order - 1) < NEAR:
        value = math.exp(-float(torch.xlogy(values, values).sum()))
    elif math.isinf(order):
        value = 1 / float(values.max())
    else:
        # At orders below 1 rounding noise near zero would count; only what exceeds it is an eigenvalue.
        values = values[values > values.max() * len(values) * torch.finfo(values.dtype).eps]
        # In units of the largest, so that no power of it vanishes.
        largest = float(values.max())
        log_sum = math.log(float(((values / largest) ** order).sum())) + order * math.log(largest)
        value = math.exp(log_sum / (1 - order))
    return Estimate(value, n_fake=len(x), details={"no_interval": COSTLY})
