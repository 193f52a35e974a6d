"""The result of an audit: curves and verdicts as text, JSON, Markdown with figures, or a pandas frame."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganeval.auditing.experiments import EXPERIMENTS, GENERATED, REAL, TRAIN
from ganeval.auditing.figures import figure
from ganeval.auditing.verdicts import RULE, SHORT_RULE, Curve, Verdict, gap, judge, reliable_n
from ganeval.columns import Printed, blocks, fact
from ganeval.files import write_result
from ganeval.markup import markdown_table
from ganeval.registry import METRICS
from ganeval.report import ExtractorInfo, finite
from ganeval.sides import SetInfo

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = "ganeval.audit/1"
SIZE = "size"
MIXING = "mixing"


@dataclass(frozen=True, kw_only=True)
class AuditReport(Printed):
    """What each metric sees. `verdicts["dropping"]["fid"].word` is 'sees', 'blind' or 'inverted'.

    sets: the reference (`real`), `generated`, and `train` where one was given. clusters: of the modes.
    metrics: {name: options}. curves: {experiment: {metric: {line: Curve of scores}}}.
    seconds: {metric: {n: the least met}}. skipped: {metric: why it was not computed, at all or at a small n}.
    """

    sets: dict[str, SetInfo]
    extractor: ExtractorInfo
    n: int
    repeats: int
    seed: int
    clusters: int
    metrics: dict[str, dict[str, Any]]
    curves: dict[str, dict[str, dict[str, Curve]]]
    seconds: dict[str, dict[int, float]]
    skipped: dict[str, str]
    warnings: list[str]
    environment: dict[str, str]

    @cached_property
    def verdicts(self) -> dict[str, dict[str, Verdict]]:
        """{experiment: {metric: verdict}}, for all experiments but the one on the sample size."""
        return {name: {m: self._judged(name, m) for m in self.metrics} for name in self.curves if name != SIZE}

    def _judged(self, name: str, metric: str) -> Verdict:
        lines, better, kind = self.curves[name][metric], METRICS[metric].better, EXPERIMENTS[name].kind
        if kind == "overfitting" and METRICS[metric].train == "needed":
            return judge(lines["validation"].badness(better))
        if kind == "overfitting":
            return judge(gap(lines["validation"], lines["train"], better))
        return judge(lines["score"].badness(better), harmless=kind == "harmless")

    @cached_property
    def reliable_n(self) -> dict[str, int | None]:
        """{metric: the n from which on it tells a half-generated set from real images}; None for not up to n."""
        lines = {metric: self.curves[SIZE][metric] for metric in self.metrics} if SIZE in self.curves else {}
        return {
            metric: reliable_n(*(by_line[line].badness(METRICS[metric].better) for line in ("real", "mixture")))
            for metric, by_line in lines.items()
        }

    def title(self, metric: str) -> str:
        return self.extractor.title(METRICS[metric])

    def cell(self, name: str, metric: str, *, fully: bool = False) -> str:
        """The verdict as it stands in a table: fully, 'sees' with the strength from which it does.

        'reacts' comes with its share of the change from no to all generated images, where that is seen.
        """
        if name == SIZE:
            found = self.reliable_n[metric]
            return f"> {self.n}" if found is None else str(found)
        verdict = self.verdicts[name][metric]
        mixing = self.verdicts.get(MIXING, {}).get(metric)
        if verdict.word == "reacts" and mixing and mixing.word == "sees":
            return f"reacts {verdict.change / mixing.change:.0%}"
        return f"sees from {verdict.seen_from:g}" if fully and verdict.word == "sees" else verdict.word

    def _said(self, name: str, metric: str) -> str:
        """The verdict as it stands in a figure."""
        if name != SIZE:
            return self.cell(name, metric, fully=True)
        found = self.reliable_n[metric]
        return f"unreliable at n = {self.n}" if found is None else f"reliable from n = {found}"

    def time(self, metric: str) -> str:
        """The least time met at the full n; the metrics of one family share theirs equally."""
        found = self.seconds.get(metric, {}).get(self.n)
        return "-" if found is None else f"{1000 * found:.3g} ms" if found < 1 else f"{found:.3g} s"

    def to_text(self) -> str:
        """What was compared, and the verdicts, metrics by experiments, at most 80 columns wide."""
        lines = [fact(*pair) for pair in self.facts()] + [""]
        for names, timed in self._tables():
            if names or timed:
                lines += [*blocks(*self._grid(names, timed)), ""]
        lines += [fact("rule", SHORT_RULE)]
        lines += [fact("left out", f"{self.title(name)}: {reason}") for name, reason in self.skipped.items()]
        return "\n".join(lines) + "\n"

    def _tables(self) -> tuple[tuple[list[str], bool], ...]:
        """Whether it sees the defects; and the rest, with the time."""
        seen = [name for name in self.curves if EXPERIMENTS[name].kind in ("defect", "overfitting")]
        return (seen, False), ([name for name in self.curves if name not in seen], True)

    def _grid(self, names: list[str], timed: bool, *, fully: bool = False) -> tuple[list[str], list[list[str]]]:
        header = ["metric", *("reliable n" if name == SIZE else name for name in names), *(["time"] if timed else [])]
        rows = [
            [self.title(m), *(self.cell(name, m, fully=fully) for name in names), *([self.time(m)] if timed else [])]
            for m in self.metrics
        ]
        return header, rows

    def facts(self) -> Iterable[tuple[str, str]]:
        yield "reference", _named(self.sets[REAL])
        train = _named(self.sets[TRAIN]) if TRAIN in self.sets else "none given: held-out reference images play it"
        yield "training", train
        yield "generated", _named(self.sets[GENERATED])
        yield "features", str(self.extractor)
        yield "sets", f"n = {self.n}, {self.repeats} repeats, {self.clusters} clusters, seed {self.seed}"

    def to_markdown(self) -> str:
        """The page: what was done, the verdicts, and a figure for each experiment, whose files lie beside it."""
        lines = ["# Audit of the metrics", ""]
        lines += [f"- **{label}**: {text}" for label, text in self.facts()] + ["", RULE, ""]
        for names, timed in self._tables():
            if names or timed:
                lines += [markdown_table(*self._grid(names, timed, fully=True)), ""]
        for name in self.curves:
            experiment = EXPERIMENTS[name]
            lines += [f"## {experiment.title[0].upper()}{experiment.title[1:]}", "", experiment.said, ""]
            lines += [f"![{experiment.title}]({name}.svg)", ""]
        lines += [f"{self.title(name)}, {reason}" for name, reason in self.skipped.items()]
        return "\n".join(lines).rstrip() + "\n"

    def to_dict(self) -> dict[str, Any]:
        """The document of audit.json; what is not a number is null."""
        document = {
            "schema": SCHEMA,
            "sets": {name: vars(info) for name, info in self.sets.items()},
            "extractor": vars(self.extractor),
            **{name: getattr(self, name) for name in ("n", "repeats", "seed", "clusters", "metrics")},
            "rule": RULE,
            "verdicts": {name: {m: vars(v) for m, v in found.items()} for name, found in self.verdicts.items()},
            "reliable_n": self.reliable_n,
            "curves": {
                name: {m: {line: _plain(curve) for line, curve in lines.items()} for m, lines in metrics.items()}
                for name, metrics in self.curves.items()
            },
            **{name: getattr(self, name) for name in ("seconds", "skipped", "warnings", "environment")},
        }
        return finite(document)

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    def to_frame(self) -> pd.DataFrame:
        """A row a score: experiment, metric, line, strength, repeat, value."""
        import pandas as pd

        records = [
            {"experiment": name, "metric": m, "line": line, "strength": strength, "repeat": r, "value": float(value)}
            for name, metrics in self.curves.items()
            for m, lines in metrics.items()
            for line, curve in lines.items()
            for strength, row in zip(curve.strengths, curve.values, strict=True)
            for r, value in enumerate(row)
        ]
        return pd.DataFrame.from_records(records)

    def figures(self) -> dict[str, str]:
        """{file name: SVG}, one for each experiment."""
        return {
            f"{name}.svg": figure(
                EXPERIMENTS[name].title,
                EXPERIMENTS[name].axis,
                [(self.title(m), self._said(name, m), lines) for m, lines in metrics.items()],
            )
            for name, metrics in self.curves.items()
        }

    def write(self, folder: str | Path) -> None:
        """audit.md, its figures and audit.json, into a folder. Raises GanevalError where it can't be written."""
        files = {"audit.md": self.to_markdown(), "audit.json": self.to_json() + "\n", **self.figures()}
        for name, content in files.items():
            write_result(Path(folder) / name, content.encode())


def _named(info: SetInfo) -> str:
    return f"{info.source} ({info.n:,} images)"


def _plain(curve: Curve) -> dict[str, Any]:
    return {"strengths": list(curve.strengths), "values": curve.values.tolist()}
