"""ganeval: how good are these generated images, can the number be trusted, is the model collapsing or copying?

Public names load on first use, so that `import ganeval` is quick and does not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from ganeval.auditing import AuditReport, audit
    from ganeval.collapse import CollapseReport, collapse_test
    from ganeval.collapse.monitor import CollapseMonitor
    from ganeval.comparison import ComparisonReport, compare
    from ganeval.errors import GanevalError
    from ganeval.features import extract
    from ganeval.memorisation import MemorisationReport, memorisation_test
    from ganeval.report import ScoreReport
    from ganeval.scoring import score
    from ganeval.streaming import Stream
    from ganeval.summarise import make_reference
    from ganeval.types import Estimate, Features, Moments

_HOMES = {
    "AuditReport": "ganeval.auditing",
    "CollapseMonitor": "ganeval.collapse.monitor",
    "CollapseReport": "ganeval.collapse",
    "ComparisonReport": "ganeval.comparison",
    "Estimate": "ganeval.types",
    "Features": "ganeval.types",
    "GanevalError": "ganeval.errors",
    "MemorisationReport": "ganeval.memorisation",
    "Moments": "ganeval.types",
    "ScoreReport": "ganeval.report",
    "Stream": "ganeval.streaming",
    "audit": "ganeval.auditing",
    "collapse_test": "ganeval.collapse",
    "compare": "ganeval.comparison",
    "extract": "ganeval.features",
    "make_reference": "ganeval.summarise",
    "memorisation_test": "ganeval.memorisation",
    "score": "ganeval.scoring",
}

__all__ = [
    "AuditReport",
    "CollapseMonitor",
    "CollapseReport",
    "ComparisonReport",
    "Estimate",
    "Features",
    "GanevalError",
    "MemorisationReport",
    "Moments",
    "ScoreReport",
    "Stream",
    "audit",
    "collapse_test",
    "compare",
    "extract",
    "make_reference",
    "memorisation_test",
    "score",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
        return value
    raise AttributeError(f"module 'ganeval' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
