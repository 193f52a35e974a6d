"""Metrics as pure functions of features: `from ganeval.metrics import fid`.

Each takes (fake, real) in this order, as torch tensors of any device or numpy arrays, accumulates in float64,
and returns an Estimate. Names load on first use. `pair` and `matrix` check the arguments of a metric of your own.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ganeval.registry import METRICS

if TYPE_CHECKING:
    from ganeval.metrics.bins import ndb
    from ganeval.metrics.class_scores import inception_score, mode_score
    from ganeval.metrics.copying import authenticity, ct
    from ganeval.metrics.diversity import vendi
    from ganeval.metrics.frechet import fid, fid_debiased, mifid
    from ganeval.metrics.kernel import cmmd, kid, mmd
    from ganeval.metrics.neighbours import (
        coverage,
        density,
        one_nn_accuracy,
        one_nn_accuracy_fake,
        one_nn_accuracy_real,
        precision,
        recall,
    )
    from ganeval.metrics.transport import emd, sliced_wasserstein
    from ganeval.numerics.inputs import Array, matrix, pair

__all__ = [
    "Array",
    "authenticity",
    "cmmd",
    "coverage",
    "ct",
    "density",
    "emd",
    "fid",
    "fid_debiased",
    "inception_score",
    "kid",
    "matrix",
    "mifid",
    "mmd",
    "mode_score",
    "ndb",
    "one_nn_accuracy",
    "one_nn_accuracy_fake",
    "one_nn_accuracy_real",
    "pair",
    "precision",
    "recall",
    "sliced_wasserstein",
    "vendi",
]


def __getattr__(name: str) -> Any:
    if name in METRICS:
        return METRICS[name].fn
    if name in ("Array", "matrix", "pair"):
        return getattr(importlib.import_module("ganeval.numerics.inputs"), name)
    raise AttributeError(f"module 'ganeval.metrics' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
