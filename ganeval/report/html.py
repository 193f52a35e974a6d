"""Score reports as one HTML file that needs no network and no JavaScript."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from ganeval.pages import environment, minus
from ganeval.registry import BEST, METRICS
from ganeval.report import figures
from ganeval.report.evidence import closest, grid, missing_mode, near_pairs
from ganeval.report.gallery import Gallery
from ganeval.report.headlines import headlines
from ganeval.report.tables import by_class, cells, conventions, sharing, short, spoken, treated, wide

if TYPE_CHECKING:
    from ganeval.evaluate import Scored
    from ganeval.pages.axes import Axis
    from ganeval.report import ScoreReport
    from ganeval.sides import SetInfo

VERDICTS = ("collapse", "memorised")
"""Columns of the table of all sets that stand before the metrics."""

IDEAL = {"lower": 0.0, "half": 0.5, "zero": 0.0}


def page(reports: Sequence[ScoreReport], command: str | None = None) -> str:
    """The page of one report or several. command: how it was made, as typed.

    Pictures come from each report's gallery; without one the page says how to have them.
    """
    names = short([report.samples.source for report in reports])
    axes = {
        name: figures.span([report[name] for report in reports if name in report.metrics], METRICS[name].share)
        for name in {name: None for report in reports for name in report.metrics}
    }
    header, body = wide(reports)
    order = sorted(range(len(header)), key=lambda i: i > 1 and header[i] not in VERDICTS)
    template = environment(Path(__file__).parent / "templates").get_template("report.html.jinja")
    return template.render(
        sets=[_set(report, name, i, axes) for i, (report, name) in enumerate(zip(reports, names, strict=True), 1)],
        header=[header[i] for i in order],
        body=[[minus(row[i]) for i in order] for row in body],
        reference=reports[0].reference,
        real=reports[0].reference and short([reports[0].reference.source])[0],
        command=command,
    )


def _set(report: ScoreReport, name: str, i: int, axes: Mapping[str, Axis]) -> dict[str, Any]:
    """What the page says of one sample set."""
    gallery = report.gallery or Gallery()
    modes = report.collapse.modes if report.collapse else ()
    histogram, drawn = figures.histogram(modes)
    return {
        "id": f"set-{i}", "name": name, "report": report, "headlines": headlines(report),
        "grids": [shown for shown in (
            grid("samples", gallery.fake, gallery.fake_grid, report.samples.n),
            grid("reference", gallery.real, gallery.real_grid, report.reference.n if report.reference else None),
        ) if shown["tiles"]],
        "no_pictures": _no_pictures(report),
        "metrics": [_metric(report, key, scored, axes[key]) for key, scored in report.metrics.items()],
        "missing": [missing_mode(mode, gallery.real) for mode in (report.collapse.too_few if report.collapse else ())],
        "pairs": near_pairs(report, gallery), "copies": closest(report, gallery),
        "histogram": Markup(histogram), "drawn": drawn, "classes": sum(1 for m in modes if m.n_fake or m.n_real),
        "plane": gallery.plane and Markup(figures.plane(gallery.plane)), "share": gallery.plane and gallery.plane.share,
        "points": gallery.plane and (len(gallery.plane.fake), len(gallery.plane.real)),
        "skipped": [(", ".join(names), reason) for reason, names in sharing(report.skipped).items()],
        "classes_apart": _classes(report),
        "protocol": _protocol(report),
    }  # fmt: skip


def _no_pictures(report: ScoreReport) -> str:
    if report.gallery is None:
        return "This report was made without pictures: score with gallery=True, or with --html on the command line."
    return "" if report.gallery.fake else "The samples were given as features: there are no pictures of them."


def _metric(report: ScoreReport, key: str, scored: Scored, across: Axis) -> dict[str, Any]:
    estimate = scored.estimate
    value, error, _ = cells(estimate)
    bounded = scored.metric.share or estimate.interval is not None
    drawable = bounded and across.low <= estimate.value <= across.high
    return {
        "key": key, "title": report.title(scored.metric), "raw": estimate.value, "value": minus(value),
        "error": "–" if error == "-" else error, "interval": minus(spoken(estimate)) if estimate.interval else "–",
        "best": BEST[scored.metric.better], "why": estimate.details.get("no_interval", ""),
        "bar": Markup(figures.interval(estimate, across, IDEAL.get(scored.metric.better))) if drawable else "",
    }  # fmt: skip


def _classes(report: ScoreReport) -> tuple[list[str], list[list[str]]] | None:
    """The scores of each class apart."""
    for _, header, body in by_class([report]):
        return header, [[minus(cell) for cell in row] for row in body]
    return None


def _protocol(report: ScoreReport) -> list[tuple[str, str]]:
    """How the numbers were made: what a reader needs to make them again."""
    extractor = report.extractor
    weights = (
        extractor.weights_sha256 and f"{extractor.weights_sha256} ({'' if extractor.verified else 'not '}verified)"
    )
    facts = [
        *_source("samples", report.samples), *_source("reference", report.reference),
        *(_source("training set", report.train) if report.train else ()),
        ("extractor", f"{extractor.name} ({extractor.reason})"), ("fingerprint", extractor.fingerprint),
        ("features", f"{extractor.dim:,}"), ("weights, sha256", weights), ("precision", extractor.precision),
        ("its effect here", report.precision_effect and str(report.precision_effect)),
        ("options", conventions(report)), ("seed", str(report.seed)),
        *((f"images, {side}", treated(counts)) for side, counts in report.treatments.items() if counts),
        *report.environment.items(),
        ("collapse could see", report.collapse and report.collapse.minimum_detectable.get("text")),
        *(("collapse", note) for note in (report.collapse.notes if report.collapse else ())),
        ("copying could show", report.memorisation and report.memorisation.minimum_detectable["text"]),
        *(("copying", note) for note in (report.memorisation.notes if report.memorisation else ())),
        ("seconds", ", ".join(f"{part} {seconds:.1f}" for part, seconds in report.seconds.items())),
    ]  # fmt: skip
    return [(key, value) for key, value in facts if value]


def _source(what: str, info: SetInfo | None) -> list[tuple[str, str | None]]:
    if info is None:
        return [(what, "none")]
    drawn = None if info.drawn is None else _count(info.drawn)
    return [(what, info.source), (f"{what}, n", _count(info.n)), (f"{what}, features drawn", drawn),
            (f"{what}, sha256", info.sha256)]  # fmt: skip


def _count(n: int | None) -> str:
    return "unknown" if n is None else f"{n:,}"
