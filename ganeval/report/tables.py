"""A score report as a table: text of 80 columns, Markdown, LaTeX, or a pandas frame.

One report is a row a metric; several reports are a row a sample set.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganeval.columns import blocks, fact, rounded, table
from ganeval.markup import latex_table, markdown_table
from ganeval.registry import BEST
from ganeval.report.verdicts import copying_in_short, in_short
from ganeval.types import LEVEL, Estimate

if TYPE_CHECKING:
    import pandas as pd

    from ganeval.report import ScoreReport

HEADER = ("metric", "value", "std error", f"{LEVEL:.0%} interval", "best is")
ELSEWHERE = "`--format csv` has them; `ganeval compare` says which set is better"


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


def rows(report: ScoreReport) -> Iterator[tuple[str, ...]]:
    """A row under HEADER for each metric."""
    for scored in report.metrics.values():
        yield (report.title(scored.metric), *cells(scored.estimate), BEST[scored.metric.better])


def wide(reports: Sequence[ScoreReport]) -> tuple[list[str], list[list[str]]]:
    """Header and rows for several reports: a row a sample set, a column a metric."""
    titles = {name: report.title(line.metric) for report in reports for name, line in report.metrics.items()}
    header = ["samples", "n", *titles.values()]
    body = [
        [label, str(report.samples.n), *(cells(report[m])[0] if m in report.metrics else "-" for m in titles)]
        for label, report in zip(short([r.samples.source for r in reports]), reports, strict=True)
    ]
    found = [_found(report) for report in reports]
    for kind in dict.fromkeys(kind for verdicts in found for kind in verdicts):
        header.append(kind)
        for line, verdicts in zip(body, found, strict=True):
            line.append(verdicts.get(kind, "-"))
    return header, body


def _found(report: ScoreReport) -> dict[str, str]:
    """{column: verdict} of those that there are."""
    verdicts = {"collapse": report.collapse, "memorised": report.memorisation}
    return {kind: found.verdict for kind, found in verdicts.items() if found}


def short(sources: list[str]) -> list[str]:
    """The last part of each path where that tells them apart, else the whole."""
    names = [Path(source).name or source for source in sources]
    return [" ".join(name.split()) for name in (names if len(set(names)) == len(names) else sources)]


def text(reports: Sequence[ScoreReport]) -> str:
    """What the command line prints: what was compared, the table, and what was not computed."""
    first, *others = reports
    context = [] if others else [("samples", set_of(first.samples.source, first.samples.n))]
    if first.reference:
        context.append(("reference", set_of(first.reference.source, first.reference.n, first.reference.drawn)))
    if first.train:
        context.append(("train", set_of(first.train.source, first.train.n)))
    context.append(("features", str(first.extractor)))
    body = _all_sets(reports) if others else table(HEADER, list(rows(first)))
    for title, header, classes in by_class(reports):
        body += ["", *([title] if others else []), *blocks(header, classes)]
    notes = [("errors", ELSEWHERE)] if others else _verdicts(first)
    notes += [("precision", str(report.precision_effect)) for report in reports if report.precision_effect]
    notes += [("options", said) for said in once(reports, lambda report: [conventions(report)])]
    notes += [("images", said) for said in once(reports, _treatments)]
    notes += [("left out", said) for said in once(reports, _left_out)]
    lines = [*(fact(*pair) for pair in context), "", *body, "", *(fact(*pair) for pair in notes if pair[1])]
    return "\n".join(lines).rstrip() + "\n"


def _all_sets(reports: Sequence[ScoreReport]) -> list[str]:
    """The lines of the table of several reports, with the best there is under each metric."""
    header, body = wide(reports)
    best = {name: BEST[line.metric.better] for report in reports for name, line in report.metrics.items()}
    last = ["best is", "", *best.values()]
    return blocks(header, [*body, last + ["none"] * (len(header) - len(last))])


def _verdicts(report: ScoreReport) -> list[tuple[str, str]]:
    """Each verdict with its first reason, the other reasons on lines of their own."""
    found = {
        "collapse": in_short(report.collapse) if report.collapse else (),
        "memorised": copying_in_short(report.memorisation) if report.memorisation else (),
    }
    return [(label if i == 0 else "", line) for label, lines in found.items() for i, line in enumerate(lines)]


def once(reports: Sequence[ScoreReport], lines: Callable[[ScoreReport], Iterable[str]]) -> Iterator[str]:
    """The lines of all reports, each said once, after the samples that it concerns where these are not all."""
    concerned: dict[str, dict[str, None]] = {}
    for report in reports:
        for line in lines(report):
            concerned.setdefault(line, {})[report.samples.source] = None
    everywhere = len({report.samples.source for report in reports})
    for line, sources in concerned.items():
        yield line if len(sources) == everywhere else f"{', '.join(sources)}: {line}"


def _treatments(report: ScoreReport) -> Iterator[str]:
    return (f"{side}: {treated(counts)}" for side, counts in report.treatments.items() if counts)


def _left_out(report: ScoreReport) -> Iterator[str]:
    return (f"{', '.join(names)}: {reason}" for reason, names in sharing(report.skipped).items())


def conventions(report: ScoreReport) -> str:
    """The options that papers differ in."""
    texts = {}
    for name, scored in report.metrics.items():
        options = {k: v for k, v in scored.options.items() if k not in ("seed", "shuffle") and v not in (None, False)}
        if options:
            texts[name] = ", ".join(f"{k}={v}" for k, v in options.items())
    return "; ".join(f"{', '.join(names)} {options}" for options, names in sharing(texts).items())


def sharing(texts: Mapping[str, str]) -> dict[str, list[str]]:
    """{text: the names that have it}: what several share is said once."""
    shared: dict[str, list[str]] = {}
    for name, said in texts.items():
        shared.setdefault(said, []).append(name)
    return shared


def set_of(source: str, n: int | None, drawn: int | None = None) -> str:
    """A set of images by its source and size, and by what was drawn of a statistics file's features."""
    rows = "" if drawn is None else f"; for metrics of features a random {drawn:,}"
    return f"{source} ({'unknown n' if n is None else f'{n:,} images'}{rows})"


def treated(counts: dict[str, int]) -> str:
    return "; ".join(f"{n:,} {what}" for what, n in counts.items())


def by_class(reports: Sequence[ScoreReport]) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """The name of each set that was also scored by class, with header and rows of its table."""
    for label, report in zip(short([r.samples.source for r in reports]), reports, strict=True):
        if report.by_class:
            yield f"{label}, by class", *_classes(report)


def _classes(report: ScoreReport) -> tuple[list[str], list[list[str]]]:
    """A row a class, a column a metric; the mean over classes of the Fréchet distance is known as intra-FID."""
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
    means = [_mean([s.metrics[m].estimate for s in scores.values() if m in s.metrics]) for m in names]
    body.append(["mean", "", "", *means])
    return header, body


def _mean(classes: Sequence[Estimate]) -> str:
    """To the digits that its error leaves, where all classes, which share no image, have one."""
    errors = [estimate.std_error for estimate in classes if estimate.std_error is not None]
    error = math.hypot(*errors) / len(errors) if len(errors) == len(classes) else None
    return number(sum(estimate.value for estimate in classes) / len(classes), error)


def _grids(reports: Sequence[ScoreReport]) -> Iterator[tuple[Sequence[str], Sequence[Sequence[str]]]]:
    """The table of all, and those of classes, whose first column is headed by the set's name."""
    yield wide(reports) if len(reports) > 1 else (HEADER, list(rows(reports[0])))
    for title, header, body in by_class(reports):
        yield [title, *header[1:]], body


def markdown(reports: Sequence[ScoreReport]) -> str:
    """Markdown tables: one, and one for each set that was scored by class."""
    return "\n".join(f"{markdown_table(*grid)}\n" for grid in _grids(reports))


def latex(reports: Sequence[ScoreReport]) -> str:
    """LaTeX tables for the booktabs package: one, and one for each set that was scored by class."""
    return "\n".join(f"{latex_table(*grid)}\n" for grid in _grids(reports))


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
    """One report: `frame`. Several: a row a sample set with each metric's value and standard error, and the verdicts.

    The rows of each class follow those of their set, named in the column `class`.
    """
    import pandas as pd

    if len(reports) == 1:
        return frame(reports[0])
    records = []
    for report in reports:
        groups = [("", report.samples.n, report.metrics)]
        groups += [(name, scores.n_fake, scores.metrics) for name, scores in report.by_class.items()]
        for group, n, metrics in groups:
            record: dict[str, Any] = {"samples": report.samples.source, "class": group, "n": n}
            for name, scored in metrics.items():
                record[name], record[f"{name}_std_error"] = scored.estimate.value, scored.estimate.std_error
            # The verdicts are of the whole set, and not of a class.
            records.append(record if group else record | _found(report))
    lines = pd.DataFrame.from_records(records)
    return lines if any(report.by_class for report in reports) else lines.drop(columns="class")
