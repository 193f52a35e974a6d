"""The rules by which curves become words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import rankdata

from ganeval.registry import Better, badness

APART = 0.95
"""Two sets of scores are told apart where the one is above the other in this share of all pairs."""
SHORT_RULE = (
    f"sees: worse at the greatest strength than without the defect in {APART:.0%} of the pairs of repeats, and rising "
    "with the strength; inverted: better; reliable n: from there on a half-generated set is told from a real one; "
    "reacts: by this share of the change from no to all generated images"
)
RULE = (
    f"'sees' where, over the repeats, the scores at the greatest strength are worse than those without the defect in "
    f"at least {APART:.0%} of all pairs (AUC {APART}), and the rank correlation of badness and strength within a "
    "repeat is above 0 on average; 'inverted' where both hold with the sign turned; 'blind' otherwise. "
    "Badness is the score where lower is better, minus the score where higher is, and the distance from 0.5 for 1-NN "
    "accuracy, from 0 for C_T. Overfitting: badness against the validation set less badness against the training set, "
    "where 1-NN accuracy counts as it is; the badness alone of what reads the training set by itself. "
    "Shifts and rotations: 'reacts' where the AUC is at least "
    f"{APART} or at most {1 - APART:.2f}, and by how much, as a share of the change from no to all generated images, "
    "where that is seen; 'robust' otherwise. Reliable n: the smallest from which on the AUC of the half-generated set "
    "over real "
    f"images is at least {APART}."
)


@dataclass(frozen=True)
class Curve:
    """Scores (levels, repeats) at growing strengths; NaN where a metric could not be computed."""

    strengths: tuple[float, ...]
    values: np.ndarray

    def badness(self, better: Better) -> Curve:
        """The curve turned so that more is worse."""
        return Curve(self.strengths, badness(self.values, better))


@dataclass(frozen=True)
class Verdict:
    """word: the verdict. auc: greatest strength against none. trend: mean rank correlation with the strength.

    seen_from: the strength from which on every level is told from none, in either direction; None for never.
    change: how much worse the greatest strength is than none, in the metric's own units.
    """

    word: Literal["sees", "blind", "inverted", "robust", "reacts", "-"]
    auc: float
    trend: float
    seen_from: float | None
    change: float


def gap(validation: Curve, train: Curve, better: Better) -> Curve:
    """How much nearer the fakes are to the training set than to the validation set (Xu et al., 2018, section on
    overfitting): the badness against the one less that against the other.

    1-NN accuracy counts as it is, from 0 for copies to 1 for another distribution: away from 0.5 is no direction here.
    """
    sign = -1.0 if better == "higher" else 1.0
    return Curve(validation.strengths, sign * (validation.values - train.values))


def auc(more: np.ndarray, less: np.ndarray) -> float:
    """The share of pairs in which `more` is above `less`; a tie is half a pair (Mann and Whitney, 1947)."""
    apart = more[:, None] - less[None, :]
    return float(((apart > 0) + 0.5 * (apart == 0)).mean())


def trend(bad: Curve) -> float:
    """Spearman's rank correlation of badness with strength within each repeat, averaged; 0 where nothing moves."""
    strengths = rankdata(bad.strengths)
    found = []
    for column in bad.values.T:
        ranks = rankdata(column)
        found.append(float(np.corrcoef(strengths, ranks)[0, 1]) if np.ptp(ranks) > 0 else 0.0)
    return float(np.mean(found))


def judge(bad: Curve, *, harmless: bool = False) -> Verdict:
    """The verdict on a curve of badness whose first level is without the defect, by RULE."""
    null = bad.values[0]
    if not np.isfinite(bad.values).all():
        return Verdict("-", float("nan"), float("nan"), None, float("nan"))
    areas = [auc(values, null) for values in bad.values]
    last, follows = areas[-1], trend(bad)
    change = float(bad.values[-1].mean() - null.mean())
    low = 1 - APART
    # 1 - 0.95 is not 0.05 to the last bit.
    apart = [area >= APART or area <= low + 1e-12 for area in areas]
    first = next((i for i in range(1, len(areas)) if all(apart[i:])), None)
    seen_from = None if first is None else bad.strengths[first]
    if harmless:
        return Verdict("reacts" if apart[-1] else "robust", last, follows, seen_from, change)
    if last >= APART and follows > 0:
        return Verdict("sees", last, follows, seen_from, change)
    if apart[-1] and last < 0.5 and follows < 0:
        return Verdict("inverted", last, follows, seen_from, change)
    return Verdict("blind", last, follows, seen_from, change)


def reliable_n(real: Curve, mixture: Curve) -> int | None:
    """The smallest n from which on the mixture is told from real images at every larger n too; curves of badness."""
    found = None
    for n, null, mixed in zip(real.strengths, real.values, mixture.values, strict=True):
        reliable = np.isfinite([null, mixed]).all() and auc(mixed, null) >= APART
        found = (found or int(n)) if reliable else None
    return found
