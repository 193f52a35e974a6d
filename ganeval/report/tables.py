"""A score report as a table: text of 80 columns, Markdown, LaTeX, or a pandas frame.

One report is a row a metric; several reports are a row a sample set.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganeval.columns import blocks, fact, rounded, table
from ganeval.report.verdicts import copying_in_short, in_short
from ganeval.types import LEVEL, Estimate

if TYPE_CHECKING:
    import pandas as pd

    from ganeval.report import ScoreReport

HEADER = ("metric", "value", "std error", f"{LEVEL:.0%} interval", "best is")
BEST = {"lower": "low", "higher": "high", "half": "0.5", "zero": "0"}


def number(value: float, error: float | None = None) -> str:
    """`value` with as many digits as it deserves: two digits of its standard error, else four in all."""
    return rounded(value, error, 4) if math.isfinite(value) else str(value)


def cells(estimate: Estimate) -> tuple[str, str, str]:
    """Value, standard error and interval as text; a dash where there is none."""
    value, error, interval = estimate.value, estimate.std_error, estimate.interval
    low_high = "-" if interval is None else f"[{number(interval[0], error)}, {number(interval[1], error)}]"
    return number(value, error), "-" if error is None else number(error, error), low_high


def spoken(estimate: Estimate) -> str:
    """The interval as 'low to high'; a dash where there is none."""
    return cells(estimate)[2].strip("[]").replace(", ", " to ")


def minus(said: str) -> str:
    """Text whose numbers have a true minus."""
    return re.sub(r"(?<!\S)-(?=\d)", "−", said)


def rows(report: ScoreReport) -> Iterator[tuple[str, ...]]:
    """A row under HEADER for each metric."""
    for scored in report.metrics.values():
        yield (report.title(scored.metric), *cells(scored.estimate), BEST[scored.metric.better])


def wide(reports: Sequence[ScoreReport]) -> tuple[list[str], list[list[str]]]:
    """Header and rows for several reports: a row a sample set, a column a metric."""
    first = reports[0]
    names = [name for name in first.metrics if all(name in report.metrics for report in reports)]
    header = ["samples", "n", *(first.title(first.metrics[name].metric) for name in names)]
    body = [
        [label, str(report.samples.n), *(cells(report[name])[0] for name in names)]
        for label, report in zip(short([r.samples.source for r in reports]), reports, strict=True)
    ]
    if any(report.collapse for report in reports):
        header.append("collapse")
        for line, report in zip(body, reports, strict=True):
            line.append(report.collapse.verdict if report.collapse else "-")
    if any(report.memorisation for report in reports):
        header.append("memorised")
        for line, report in zip(body, reports, strict=True):
            line.append(report.memorisation.verdict if report.memorisation else "-")
    return header, body


def short(sources: list[str]) -> list[str]:
    """The last part of each path where that tells them apart, else the whole."""
    names = [Path(source).name or source for source in sources]
    return names if len(set(names)) == len(names) else sources


def text(reports: Sequence[ScoreReport]) -> str:
    """What the command line prints: what was compared, the table, and what was not computed."""
    first, *others = reports
    context = [] if others else [("samples", set_of(first.samples.source, first.samples.n))]
    if first.reference:
        context.append(("reference", set_of(first.reference.source, first.reference.n)))
    if first.train:
        context.append(("train", set_of(first.train.source, first.train.n)))
    context.append(("features", f"{first.extractor.dim} from {first.extractor.name} ({first.extractor.reason})"))
    body = blocks(*wide(reports)) if others else [*table(HEADER, list(rows(first))), *_classes(first)]
    notes = [] if others else [("collapse", in_short(first.collapse) if first.collapse else "")]
    notes += [] if others else [("memorised", copying_in_short(first.memorisation) if first.memorisation else "")]
    notes += [("precision", str(report.precision_effect)) for report in reports if report.precision_effect]
    notes += [("options", conventions(first))]
    notes += [("images", f"{side}: {treated(counts)}") for side, counts in first.treatments.items() if counts]
    notes += [("left out", f"{', '.join(names)}: {reason}") for reason, names in sharing(first.skipped).items()]
    lines = [*(fact(*pair) for pair in context), "", *body, "", *(fact(*pair) for pair in notes if pair[1])]
    return "\n".join(lines).rstrip() + "\n"


def conventions(report: ScoreReport) -> str:
    """The options that papers differ in."""
    texts = {}
    for name, scored in report.metrics.items():
        options = {k: v for k, v in scored.options.items() if k != "seed" and v not in (None, False)}
        if options:
            texts[name] = ", ".join(f"{k}={v}" for k, v in options.items())
    return "; ".join(f"{', '.join(names)} {options}" for options, names in sharing(texts).items())


def sharing(texts: Mapping[str, str]) -> dict[str, list[str]]:
    """{text: the names that have it}: what several share is said once."""
    shared: dict[str, list[str]] = {}
    for name, said in texts.items():
        shared.setdefault(said, []).append(name)
    return shared


def set_of(source: str, n: int | None) -> str:
    """A set of images by its source and size."""
    return f"{source} ({'unknown n' if n is None else f'{n:,} images'})"


def treated(counts: dict[str, int]) -> str:
    return "; ".join(f"{n:,} {what}" for what, n in counts.items())


def _classes(report: ScoreReport) -> list[str]:
    """A row a class, a column a metric; the mean over classes of the Fréchet distance is known as intra-FID."""
    if not report.by_class:
        return []
    scores = report.by_class
    names = [name for name in report.metrics if any(name in s.metrics for s in scores.values())]
    header = ["class", "n", "n ref", *(report.title(report.metrics[name].metric) for name in names)]
    body = [
        [
            name,
            str(s.n_fake),
            str(s.n_real),
            *(cells(s.metrics[m].estimate)[0] if m in s.metrics else "-" for m in names),
        ]
        for name, s in scores.items()
    ]
    means = []
    for metric in names:
        values = [s.metrics[metric].estimate.value for s in scores.values() if metric in s.metrics]
        means.append(number(sum(values) / len(values)))
    body.append(["mean", "", "", *means])
    return ["", *blocks(header, body)]


def _grid(reports: Sequence[ScoreReport]) -> tuple[Sequence[str], list[Sequence[str]]]:
    if len(reports) == 1:
        return HEADER, list(rows(reports[0]))
    header, body = wide(reports)
    return header, list(body)


def markdown(reports: Sequence[ScoreReport]) -> str:
    """A Markdown table."""
    header, body = _grid(reports)
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "".join(f"| {' | '.join(row)} |\n" for row in [header, rule, *body])


def latex(reports: Sequence[ScoreReport]) -> str:
    """A LaTeX table for the booktabs package."""
    header, body = _grid(reports)
    lines = [" & ".join(escaped(cell) for cell in row) + r" \\" for row in [header, *body]]
    top = rf"\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}"
    return "\n".join([top, r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule", r"\end{tabular}", ""])


def escaped(cell: str) -> str:
    """Text that LaTeX takes as it is."""
    return "".join(rf"\{c}" if c in "%_&#$" else c for c in cell)


def frame(report: ScoreReport) -> pd.DataFrame:
    """A row a metric with full precision; the rows of each class follow, named in the column `class`."""
    import pandas as pd

    groups = [("", report.metrics), *((name, scores.metrics) for name, scores in report.by_class.items())]
    records: list[dict[str, Any]] = []
    for group, metrics in groups:
        for name, scored in metrics.items():
            estimate = scored.estimate
            low, high = estimate.interval or (None, None)
            records.append(
                {"class": group, "metric": name, "value": estimate.value, "std_error": estimate.std_error,
                 "low": low, "high": high, "better": scored.metric.better,
                 "n_fake": estimate.n_fake, "n_real": estimate.n_real}
            )  # fmt: skip
    lines = pd.DataFrame.from_records(records)
    return lines if report.by_class else lines.drop(columns="class", errors="ignore")


def frames(reports: Sequence[ScoreReport]) -> pd.DataFrame:
    """One report: `frame`. Several: a row a sample set with each metric's value and standard error."""
    import pandas as pd

    if len(reports) == 1:
        return frame(reports[0])
    records = []
    for report in reports:
        record: dict[str, Any] = {"samples": report.samples.source, "n": report.samples.n}
        for name, scored in report.metrics.items():
            record[name], record[f"{name}_std_error"] = scored.estimate.value, scored.estimate.std_error
        records.append(record)
    return pd.DataFrame.from_records(records)
