"""What a report says first: the four questions of whoever trains a generator, each with an answer in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ganeval.pages import minus
from ganeval.report.tables import cells, spoken

if TYPE_CHECKING:
    from ganeval.report import ScoreReport

FIRST = ("fid_debiased", "kid", "fid", "mmd", "emd", "inception_score", "vendi")
"""The metric that answers for closeness: the first of these with an interval, else the first that is there."""

FOUND = {"none": "None found", "suspected": "Suspected", "collapsed": "Collapsed", "undetermined": "Can’t be told"}
COPYING = {"none": "None found", "suspected": "Suspected", "copying": "It copies", "undetermined": "Can’t be told"}
REASONS = 5


@dataclass(frozen=True)
class Headline:
    """A question, its answer in a few words, what it rests on, and whether it should alarm."""

    question: str
    answer: str
    because: Sequence[str]
    alarm: bool = False


def headlines(report: ScoreReport) -> list[Headline]:
    """Closeness, collapse, copying, trust."""
    return [_closeness(report), _collapse(report), _copying(report), _trust(report)]


def first_metric(report: ScoreReport) -> str | None:
    """The name of the metric that answers for closeness; None without metrics."""
    names = [name for name in FIRST if name in report.metrics] or list(report.metrics)
    return next((name for name in names if report[name].interval), names[0] if names else None)


def _closeness(report: ScoreReport) -> Headline:
    name = first_metric(report)
    if name is None:
        return Headline("How close to the reference?", "Not measured", ["no metric was computed"])
    scored = report.metrics[name]
    value, low_high = minus(cells(scored.estimate)[0]), minus(spoken(scored.estimate))
    if report.reference is None:
        because = ["without a reference nothing says how close the samples are to real images"]
        return Headline("How good?", f"{report.title(scored.metric)} {value}", because)
    # Without an interval a distance is biased upwards, or may be.
    zero = "; 0 where both sets come from one distribution" if scored.metric.better == "lower" else ""
    because = [f"95% interval {low_high}{zero}" if scored.estimate.interval else "no interval"]
    found = {key: report[key].value for key in ("precision", "recall", "one_nn_accuracy") if key in report.metrics}
    if {"precision", "recall"} <= found.keys():
        because.append(
            f"{found['precision']:.0%} of the samples lie among the real images (precision), "
            f"{found['recall']:.0%} of the real images among the samples (recall)"
        )
    if "one_nn_accuracy" in found:
        because.append(
            f"a nearest neighbour tells samples from real images in {found['one_nn_accuracy']:.0%} of cases, "
            "where 50% is chance"
        )
    return Headline("How close to the reference?", f"{report.title(scored.metric)} {value}", because)


def _collapse(report: ScoreReport) -> Headline:
    found = report.collapse
    if found is None:
        why = report.skipped.get("collapse", "it was not asked for: it is judged where no metric is named")
        return Headline("Mode collapse?", "Not judged", [why])
    kinds = f": {', '.join(kind.replace('_', ' ') for kind in found.kinds)}" if found.kinds else ""
    because = list(found.reasons[:REASONS])
    if len(found.reasons) > REASONS:
        because.append(f"and {len(found.reasons) - REASONS} more, below")
    alarm = found.verdict in ("collapsed", "suspected")
    if not alarm and (text := found.minimum_detectable.get("text")):
        because.append(f"with this many images {text}")
    return Headline("Mode collapse?", FOUND[found.verdict] + kinds, because, alarm)


def _copying(report: ScoreReport) -> Headline:
    question, found = "Copies of training images?", report.memorisation
    if found is None:
        why = report.skipped.get("memorisation", "no training set was given: name it with --train")
        return Headline(question, "Not judged", [why])
    because = list(found.reasons)
    if found.verdict == "none":
        because.append(f"with this many images {found.minimum_detectable['text']}")
    return Headline(question, COPYING[found.verdict], because, found.verdict in ("copying", "suspected"))


def _trust(report: ScoreReport) -> Headline:
    n = len(report.warnings)
    answer = "No warnings" if not n else "One warning" if n == 1 else f"{n} warnings"
    because = report.warnings or ["nothing about these two sets speaks against the numbers"]
    return Headline("Can the numbers be trusted?", answer, because)
