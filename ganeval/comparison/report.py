"""What compare found: a line a metric, a sentence in all, and the forms that these are printed in."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scipy.special import ndtri

from ganeval.columns import Printed, fact, table
from ganeval.comparison.differences import Difference
from ganeval.markup import latex_table, markdown_table
from ganeval.registry import BEST, Metric
from ganeval.report import ExtractorInfo, finite, spelt
from ganeval.report.tables import number, set_of, sharing
from ganeval.sides import SetInfo
from ganeval.types import LEVEL

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = "ganeval.compare/1"
POWER = 0.8


@dataclass(frozen=True)
class Compared:
    """One metric's line. p_holm: adjusted over all metrics of the report. better: "A", "B", or "" where none was found
    to be."""

    metric: Metric
    title: str
    difference: Difference
    p_holm: float
    options: dict[str, Any]
    better: str


@dataclass(frozen=True, kw_only=True)
class ComparisonReport(Printed):
    """The differences between A and B, {metric name: its line}, and what they rest on.

    skipped: why the other metrics are missing. seconds: in all.
    """

    a: SetInfo
    b: SetInfo
    reference: SetInfo
    extractor: ExtractorInfo
    metrics: dict[str, Compared]
    skipped: dict[str, str]
    warnings: list[str]
    paired: bool
    alpha: float
    seed: int
    environment: dict[str, str]
    seconds: float

    def __getitem__(self, name: str) -> Difference:
        return self.metrics[name].difference

    @property
    def sentence(self) -> str:
        """The result in words."""
        parts = []
        for side in ("A", "B"):
            if names := [line.title for line in self.metrics.values() if line.better == side]:
                parts.append(f"{side} is better on {_listed(names)}")
        left = sum(not line.better for line in self.metrics.values())
        if not parts:
            others = "the one metric" if left == 1 else f"any of the {left} metrics"
            return f"no difference was found on {others} at this n"
        if left:
            others = "metric" if left == 1 else f"{left} metrics"
            parts.append(f"on the other {others} no difference was found at this n")
        return "; ".join(parts)

    def minimum_detectable(self, line: Compared) -> float:
        """The difference that would be found 8 times in 10, were this one alone, and the standard error what it is."""
        level = self.alpha / len(self.metrics)
        return float(ndtri(1 - level / 2) + ndtri(POWER)) * line.difference.std_error

    def to_dict(self) -> dict[str, Any]:
        """The document of `--format json`; what is not a number is null."""
        document = {
            "schema": SCHEMA,
            "a": vars(self.a),
            "b": vars(self.b),
            "reference": vars(self.reference),
            "extractor": vars(self.extractor),
            "sentence": self.sentence,
            "metrics": {name: self._line(line) for name, line in self.metrics.items()},
            "skipped": self.skipped,
            "warnings": self.warnings,
            "paired": self.paired,
            "alpha": self.alpha,
            "seed": self.seed,
            "environment": self.environment,
            "seconds": self.seconds,
        }
        return finite(document)

    def _line(self, line: Compared) -> dict[str, Any]:
        d = line.difference
        return {
            "title": line.title,
            "a": d.a,
            "b": d.b,
            "difference": d.value,
            "std_error": d.std_error,
            "interval": list(d.interval),
            "level": LEVEL,
            "p_value": d.p_value,
            "p_holm": line.p_holm,
            "better": line.better or None,
            "best_is": line.metric.better,
            "minimum_detectable": self.minimum_detectable(line),
            "n_a": d.n_a,
            "n_b": d.n_b,
            "options": spelt(line.options),
        }

    def to_json(self) -> str:
        """One JSON document, schema ganeval.compare/1."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    def to_frame(self) -> pd.DataFrame:
        """A pandas frame with a row a metric, in full precision."""
        import pandas as pd

        records = []
        for name, line in self.metrics.items():
            d = line.difference
            low, high = d.interval
            records.append(
                {"metric": name, "a": d.a, "b": d.b, "difference": d.value, "std_error": d.std_error, "low": low,
                 "high": high, "p_value": d.p_value, "p_holm": line.p_holm, "better": line.better,
                 "best_is": line.metric.better, "n_a": d.n_a, "n_b": d.n_b}
            )  # fmt: skip
        return pd.DataFrame.from_records(records)

    def to_csv(self) -> str:
        """`to_frame` as text."""
        buffer = io.StringIO()
        self.to_frame().to_csv(buffer, index=False)
        return buffer.getvalue()

    def to_text(self) -> str:
        """The table that people read, at most 80 columns wide, and the sentence."""
        context = [
            ("A", set_of(self.a.source, self.a.n)),
            ("B", set_of(self.b.source, self.b.n)),
            ("reference", set_of(self.reference.source, self.reference.n)),
            ("features", str(self.extractor)),
            ("pairs", "image by image, by file name" if self.paired else ""),
        ]
        header = ("metric", "A", "B", "A - B", f"{LEVEL:.0%} interval", "p, Holm", "better")
        body = []
        for line in self.metrics.values():
            *values, _, interval = self._numbers(line)
            body.append((line.title, *values, interval, chance(line.p_holm), line.better or "-"))
        notes = [("result", self.sentence)]
        notes += [("left out", f"{', '.join(names)}: {why}") for why, names in sharing(self.skipped).items()]
        lines = [*(fact(*pair) for pair in context if pair[1]), "", *table(header, body), ""]
        return "\n".join([*lines, *(fact(*pair) for pair in notes)]) + "\n"

    def _numbers(self, line: Compared) -> list[str]:
        """A, B, their difference, its standard error and its interval, rounded by that error."""
        d = line.difference
        low, high = (number(end, d.std_error) for end in d.interval)
        return [*(number(x, d.std_error) for x in (d.a, d.b, d.value, d.std_error)), f"[{low}, {high}]"]

    def _grid(self) -> tuple[Sequence[str], list[Sequence[str]]]:
        header = (
            "metric",
            "best is",
            "A",
            "B",
            "A - B",
            "std error",
            f"{LEVEL:.0%} interval",
            "p",
            "p, Holm",
            "better",
        )
        return header, [
            (line.title, BEST[line.metric.better], *self._numbers(line), chance(line.difference.p_value),
             chance(line.p_holm), line.better or "-")
            for line in self.metrics.values()
        ]  # fmt: skip

    def to_markdown(self) -> str:
        """A Markdown table, and the sentence."""
        return f"{markdown_table(*self._grid())}\n\n{self.sentence}\n"

    def to_latex(self) -> str:
        """A LaTeX table for the booktabs package."""
        return latex_table(*self._grid()) + "\n"


def chance(p: float) -> str:
    """A probability with three digits after the point."""
    return "<0.001" if p < 0.0005 else f"{p:.3f}"


def _listed(titles: Sequence[str]) -> str:
    """Titles in a row; a comma within one becomes a parenthesis."""
    names = [f"{first} ({rest})" if rest else first for first, _, rest in (title.partition(", ") for title in titles)]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
