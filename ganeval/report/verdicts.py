"""The verdicts of a score report in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ganeval.columns import fact, table

if TYPE_CHECKING:
    from ganeval.collapse import CollapseReport
    from ganeval.memorisation import MemorisationReport
    from ganeval.report import ScoreReport


def in_short(collapse: CollapseReport) -> str:
    """The verdict in a sentence: what was found, or else what could have been."""
    if collapse.reasons:
        return f"{collapse.verdict}: {'; '.join(collapse.reasons)}"
    seen = collapse.minimum_detectable.get("text", "")
    return f"{collapse.verdict} found; with this many images {seen}" if seen else collapse.verdict


def copying_in_short(memorisation: MemorisationReport) -> str:
    """The verdict in a sentence: what was found, and where nothing was, what could have been."""
    text = f"{memorisation.verdict}: {'; '.join(memorisation.reasons)}"
    return text if memorisation.verdict != "none" else f"{text}; {memorisation.minimum_detectable['text']}"


def verdict(report: ScoreReport) -> str:
    """What `ganeval collapse` prints of one sample set: the verdict, its reasons, the modes, what could be seen."""
    collapse = report.collapse
    if collapse is None:
        raise ValueError("the report holds no verdict on collapse")
    facts = [("samples", f"{report.samples.source} ({collapse.n_fake:,} images)")]
    if report.reference:
        facts.append(("reference", f"{report.reference.source} ({collapse.n_real:,} images)"))
    facts.append(("features", f"{report.extractor.dim} from {report.extractor.name} ({report.extractor.reason})"))
    facts.append(("verdict", " ".join([collapse.verdict, *(f"[{kind}]" for kind in collapse.kinds)])))
    if collapse.p_value is not None:
        facts.append(("p-value", f"{collapse.p_value:.3g}, of the smaller of two tests, doubled"))
    facts += [("because" if i == 0 else "", reason) for i, reason in enumerate(collapse.reasons)]
    lines = [fact(*pair) for pair in facts]
    if collapse.missing:
        header = ("missing mode", "fakes", "real images", "share of its share")
        rows = [(mode.name, f"{mode.n_fake:,}", f"{mode.n_real:,}", f"{mode.ratio:.2f}") for mode in collapse.missing]
        lines += ["", *table(header, rows)]
    seen = collapse.minimum_detectable.get("text")
    lines += ["", *([fact("could see", seen)] if seen else []), *(fact("note", note) for note in collapse.notes)]
    return "\n".join(lines).rstrip() + "\n"
