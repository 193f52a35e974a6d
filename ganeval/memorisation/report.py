"""What memorisation_test found, with its evidence."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from ganeval.types import Estimate

Verdict = Literal["none", "suspected", "copying", "undetermined"]


@dataclass(frozen=True)
class Pair:
    """A fake and its nearest training image: their rows, how far apart they are, and how far is usual.

    held_out_distance: what half of the held-out real images would exceed, had they the fake's neighbourhood.
    closeness: the distance over that to the REACH-th nearest training image; the pairs are ordered by it.
    mirrored: it is the training image's mirror image that is near.
    """

    fake: int
    train: int
    distance: float
    held_out_distance: float
    closeness: float
    mirrored: bool = False


@dataclass(frozen=True)
class Copies:
    """How many of the fakes and of the held-out images are closer to a training image than `limit`.

    share: of copies among the fakes beyond those that held-out images suggest, (p - q) / (1 - q) of the two shares,
    not below 0; interval: at 95%, Newcombe's (1998), as if the fakes were independent.
    """

    n_fake: int
    n_held_out: int
    limit: float
    share: float
    interval: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class MemorisationReport:
    """The verdict, what it rests on, and what this many images could have shown.

    p_value: of the test that no more fakes than held-out images are that close to a training image.
    ratio: how many times more frequent the fakes are among the closest, where the test is surest; None where no
    held-out image is among them. pairs: the closest, one for each training image. authenticity, ct: the metrics;
    ct is None where it can't be computed (`notes` says why). overlap: the share of the reference's images at distance
    0 from a training image. n_tested: fakes and held-out images after one was kept for each training image.
    """

    verdict: Verdict
    p_value: float
    reasons: tuple[str, ...]
    copies: Copies
    ratio: float | None
    pairs: tuple[Pair, ...]
    authenticity: Estimate
    ct: Estimate | None
    overlap: float
    n_fake: int
    n_real: int
    n_train: int
    n_tested: tuple[int, int]
    alpha: float
    seed: int
    minimum_detectable: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The `memorisation` block of the JSON report."""
        return {
            "verdict": self.verdict,
            "p_value": self.p_value,
            "minimum_detectable": self.minimum_detectable,
            "evidence": [asdict(pair) for pair in self.pairs],
            "reasons": list(self.reasons),
            "copies": asdict(self.copies),
            "ratio": self.ratio,
            "authenticity": asdict(self.authenticity),
            "ct": self.ct and asdict(self.ct),
            "overlap": self.overlap,
            "n_fake": self.n_fake,
            "n_real": self.n_real,
            "n_train": self.n_train,
            "n_tested": list(self.n_tested),
            "alpha": self.alpha,
            "seed": self.seed,
            "notes": list(self.notes),
        }
