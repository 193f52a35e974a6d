"""The result of a score: a document that prints as text, JSON, or a pandas frame."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ganeval.collapse import CollapseReport
from ganeval.columns import Printed
from ganeval.evaluate import Scored
from ganeval.features import precision_of
from ganeval.memorisation import MemorisationReport
from ganeval.precision import PrecisionEffect
from ganeval.registry import Metric
from ganeval.sides import SetInfo
from ganeval.types import LEVEL, Estimate, Extractor, Features

if TYPE_CHECKING:
    import pandas as pd

    from ganeval.report.gallery import Gallery

SCHEMA = "ganeval.score/1"


@dataclass(frozen=True)
class ExtractorInfo:
    """The extractor that was used, and why. Numbers compare only where the fingerprints are equal."""

    name: str
    fingerprint: str
    dim: int
    weights_sha256: str | None
    verified: bool
    precision: str
    reason: str

    @classmethod
    def of(cls, net: Extractor | None, features: Features, precision: str, reason: str) -> ExtractorInfo:
        """Of the network that made the features, or of features that the caller brought."""
        made = ("features", None, False) if net is None else (net.name, net.weights_sha256, net.verified)
        name, sha256, verified = made
        if net is None:
            precision = precision_of(features.fingerprint) or "unknown"
        return cls(name, features.fingerprint, features.pooled.shape[1], sha256, verified, precision, reason)

    def __str__(self) -> str:
        return f"{self.dim} from {self.name} ({self.reason})"

    def title(self, metric: Metric) -> str:
        """What people read: 'FID' only for Inception features with verified weights, 'FD' otherwise."""
        at_home = metric.home and self.name.startswith(metric.home) and self.verified
        return metric.title if at_home or not metric.home else metric.title_elsewhere or metric.title


@dataclass(frozen=True)
class ClassScores:
    """The metrics of one class apart."""

    n_fake: int
    n_real: int
    metrics: dict[str, Scored]
    skipped: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class ScoreReport(Printed):
    """How good the samples are. `report["fid"]` is the Estimate; `metrics` holds options and seconds as well.

    collapse: the verdict on mode collapse, None where it was not asked for or can't be judged (`skipped` says why).
    precision_effect: what bf16 or fp16 did to this run's features, measured on some of its images; None in fp32.
    memorisation: the verdict on copying, likewise, where the training set, `train`, was given.
    gallery: the pictures of `to_html`, None unless asked for; no part of the document.
    """

    samples: SetInfo
    reference: SetInfo | None
    extractor: ExtractorInfo
    metrics: dict[str, Scored]
    skipped: dict[str, str]
    warnings: list[str]
    seed: int
    environment: dict[str, str]
    seconds: dict[str, float]
    by_class: dict[str, ClassScores] = field(default_factory=dict)
    treatments: dict[str, dict[str, int]] = field(default_factory=dict)
    collapse: CollapseReport | None = None
    memorisation: MemorisationReport | None = None
    train: SetInfo | None = None
    precision_effect: PrecisionEffect | None = None
    gallery: Gallery | None = field(default=None, repr=False, compare=False)

    def __contains__(self, name: object) -> bool:
        return name in self.metrics

    def __iter__(self) -> Iterator[str]:
        """The names of the metrics that were computed."""
        return iter(self.metrics)

    def __getitem__(self, name: str) -> Estimate:
        if name not in self.metrics:
            raise KeyError(f"{name}: {self.skipped.get(name, 'it was not asked for')}")
        return self.metrics[name].estimate

    def title(self, metric: Metric) -> str:
        """What people read of this metric on these features."""
        return self.extractor.title(metric)

    def to_dict(self) -> dict[str, Any]:
        """The document of `--format json`: plain lists, strings and numbers; what is not a number is null."""
        document: dict[str, Any] = {
            "schema": SCHEMA,
            "samples": vars(self.samples),
            "reference": self.reference and vars(self.reference),
            "train": self.train and vars(self.train),
            "extractor": vars(self.extractor),
            "metrics": {name: self._line(scored) for name, scored in self.metrics.items()},
            "precision_effect": self.precision_effect and vars(self.precision_effect),
            "collapse": self.collapse and self.collapse.to_dict(),
            "memorisation": self.memorisation and self.memorisation.to_dict(),
            "skipped": self.skipped,
            "treatments": self.treatments,
            "warnings": self.warnings,
            "seed": self.seed,
            "environment": self.environment,
            "seconds": self.seconds,
        }
        if self.by_class:
            document["by_class"] = {
                name: {
                    "n_fake": scores.n_fake,
                    "n_real": scores.n_real,
                    "metrics": {key: self._line(scored) for key, scored in scores.metrics.items()},
                    "skipped": scores.skipped,
                }
                for name, scores in self.by_class.items()
            }
        return finite(document)

    def _line(self, scored: Scored) -> dict[str, Any]:
        estimate = scored.estimate
        return {
            "title": self.title(scored.metric),
            "value": estimate.value,
            "std_error": estimate.std_error,
            "interval": estimate.interval and list(estimate.interval),
            "level": LEVEL,
            "better": scored.metric.better,
            "n_fake": estimate.n_fake,
            "n_real": estimate.n_real,
            "options": spelt(scored.options),
            "details": estimate.details,
            "seconds": round(scored.seconds, 4),
        }

    def to_json(self) -> str:
        """One JSON document, schema ganeval.score/1."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    def to_frame(self) -> pd.DataFrame:
        """A pandas frame with a row a metric; with `by_class`, the rows of each class follow."""
        from ganeval.report.tables import frame

        return frame(self)

    def to_text(self) -> str:
        """The table that people read, at most 80 columns wide."""
        from ganeval.report.tables import text

        return text([self])

    def to_html(self) -> str:
        """One page that needs no other file: verdicts, numbers, and pictures where the score kept a `gallery`."""
        from ganeval.report.html import page

        return page([self])


def spelt(options: dict[str, Any]) -> dict[str, Any]:
    """Options for JSON: infinity as the text "inf", which can be given back as it is."""
    return {k: str(v) if isinstance(v, float) and math.isinf(v) else v for k, v in options.items()}


def finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: they become null."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
