"""What collapse_test found, with its evidence."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from ganeval.collapse.fidelity import Fidelity
from ganeval.collapse.modes import Mode
from ganeval.collapse.similarity import Similarity, Support
from ganeval.collapse.words import emptiest_first

Verdict = Literal["none", "suspected", "collapsed", "undetermined"]


@dataclass(frozen=True, kw_only=True)
class CollapseReport:
    """The verdict, what it rests on, and what this many images could have shown.

    kinds: of 'dropped', 'starved', 'duplicated', 'low_diversity'. p_value: twice the smaller one of the two tests',
    None without a reference. modes: every class. similarity, fidelity: None without a reference.
    duplicates: the nearest pairs of fakes, (row, row, distance), nearest first. support: the birthday estimate.
    minimum_detectable: numbers, and `text` in plain words. reasons: the verdict's, a sentence each.
    n_compared: the fakes, the real images and the held-out real images in the test of similarity, after subsampling.
    """

    verdict: Verdict
    kinds: tuple[str, ...]
    p_value: float | None
    reasons: tuple[str, ...]
    modes: tuple[Mode, ...]
    p_modes: float | None
    similarity: Similarity | None
    fidelity: Fidelity | None
    support: Support
    duplicates: tuple[tuple[int, int, float], ...]
    classes_from: str | None
    n_fake: int
    n_real: int
    n_compared: tuple[int, int, int]
    alpha: float
    seed: int
    minimum_detectable: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[Mode, ...]:
        """The modes that are dropped or starved, the emptiest first."""
        return tuple(mode for mode in self.too_few if mode.kind != "hidden")

    @property
    def too_few(self) -> tuple[Mode, ...]:
        """The evidence: the missing modes, and those that are 'hidden', perhaps among the unrealistic fakes."""
        return emptiest_first(self.modes)

    def to_dict(self) -> dict[str, Any]:
        """The `collapse` block of the JSON report."""
        evidence: list[dict[str, Any]] = [asdict(mode) for mode in self.too_few]
        if "duplicated" in self.kinds or self.support.pairs:
            evidence.append({"kind": "duplicated", "pairs": [list(pair) for pair in self.duplicates]})
        return {
            "verdict": self.verdict,
            "kinds": list(self.kinds),
            "p_value": self.p_value,
            "minimum_detectable": self.minimum_detectable,
            "evidence": evidence,
            "reasons": list(self.reasons),
            "p_modes": self.p_modes,
            "similarity": self.similarity and asdict(self.similarity),
            "fidelity": self.fidelity and asdict(self.fidelity),
            "support": asdict(self.support),
            "classes_from": self.classes_from,
            "n_fake": self.n_fake,
            "n_real": self.n_real,
            "n_compared": list(self.n_compared),
            "alpha": self.alpha,
            "seed": self.seed,
            "notes": list(self.notes),
        }
