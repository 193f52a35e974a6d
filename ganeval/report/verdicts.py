"""The verdicts of a score report in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ganeval.columns import fact, table

if TYPE_CHECKING:
    from ganeval.collapse import CollapseReport
    from ganeval.memorisation import MemorisationReport
    from ganeval.report import ScoreReport


def in_short(collapse: CollapseReport) -> list[str]:
    """The verdict with its first reason, the other reasons, and where nothing was found, what could have been."""
    return _lines(collapse.verdict, collapse.reasons, collapse.minimum_detectable)


def copying_in_short(memorisation: MemorisationReport) -> list[str]:
    """The verdict with its first reason, the other reasons, and where nothing was found, what could have been."""
    return _lines(memorisation.verdict, memorisation.reasons, memorisation.minimum_detectable)


def _lines(found: str, reasons: Sequence[str], seen: Mapping[str, Any]) -> list[str]:
    lines = [": ".join([found, *reasons[:1]]), *reasons[1:]]
    return [*lines, f"could see: {seen['text']}"] if found == "none" else lines


def verdict(report: ScoreReport) -> str:
    """What `ganeval collapse` prints of one sample set: the verdict, its reasons, the modes, what could be seen."""
    collapse = report.collapse
    if collapse is None:
        raise ValueError("the report holds no verdict on collapse")
    facts = [("samples", f"{report.samples.source} ({collapse.n_fake:,} images)")]
    if report.reference:
        facts.append(("reference", f"{report.reference.source} ({collapse.n_real:,} images)"))
    facts.append(("features", str(report.extractor)))
    facts.append(("verdict", " ".join([collapse.verdict, *(f"[{kind}]" for kind in collapse.kinds)])))
    if collapse.p_value is not None:
        facts.append(("p-value", f"{collapse.p_value:.3g}, of the smaller of two tests, doubled"))
    facts += [("because" if i == 0 else "", reason) for i, reason in enumerate(collapse.reasons)]
    lines = [fact(*pair) for pair in facts]
    if collapse.too_few:
        header = ("missing or thin", "fakes", "real images", "of its share")
        rows = [(mode.name, f"{mode.n_fake:,}", f"{mode.n_real:,}", f"{mode.ratio:.2f}") for mode in collapse.too_few]
        lines += ["", *table(header, rows)]
    seen = collapse.minimum_detectable.get("text")
    lines += ["", *([fact("could see", seen)] if seen else []), *(fact("note", note) for note in collapse.notes)]
    return "\n".join(lines).rstrip() + "\n"
