"""ganeval: how good are these generated images, can the number be trusted, is the model collapsing or copying?

Public names load on first use, so that `import ganeval` is quick and does not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from ganeval.collapse import CollapseReport, collapse_test
    from ganeval.errors import GanevalError
    from ganeval.features import extract
    from ganeval.report import ScoreReport
    from ganeval.scoring import score
    from ganeval.streaming import Stream
    from ganeval.types import Estimate, Features, Moments

_HOMES = {
    "CollapseReport": "ganeval.collapse",
    "Estimate": "ganeval.types",
    "Features": "ganeval.types",
    "GanevalError": "ganeval.errors",
    "Moments": "ganeval.types",
    "ScoreReport": "ganeval.report",
    "Stream": "ganeval.streaming",
    "collapse_test": "ganeval.collapse",
    "extract": "ganeval.features",
    "score": "ganeval.scoring",
}

__all__ = [
    "CollapseReport",
    "Estimate",
    "Features",
    "GanevalError",
    "Moments",
    "ScoreReport",
    "Stream",
    "collapse_test",
    "extract",
    "score",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
        return value
    raise AttributeError(f"module 'ganeval' has no attribute {name!r}")
