"""Mode collapse: a verdict with its evidence."""

from __future__ import annotations

from dataclasses import replace

from ganeval.collapse import words
from ganeval.collapse.classes import Classes, Labels, assign
from ganeval.collapse.fidelity import Confidence, Fidelity, judge
from ganeval.collapse.modes import Mode, ModeCount, count_modes, find_missing
from ganeval.collapse.report import CollapseReport, Verdict
from ganeval.collapse.shift import Shift, label_shift
from ganeval.collapse.similarity import (
    EACH,
    FEW_KINDS,
    FEWEST_BEYOND,
    MANY_DUPLICATES,
    MOST_PERMUTATIONS,
    Similarity,
    Support,
    find_twins,
    similarity_test,
)
from ganeval.errors import GanevalError
from ganeval.fp32 import true_fp32
from ganeval.numerics.inputs import generator, matrix, pair, shuffled
from ganeval.types import Features, check_features

__all__ = ["CollapseReport", "Fidelity", "Mode", "ModeCount", "Similarity", "Support", "collapse_test", "count_modes"]

MIN_FAKE, MIN_REAL = 50, 100
"""Images under which nothing is judged."""
COMPARED = 1000
"""The test of similarity takes at most this many images of each set, so that it stays quick at any N."""
SHOWN = 8
"""Twins, and examples of each missing mode, that the evidence names."""
LEAST_ALPHA = 2 * FEWEST_BEYOND / MOST_PERMUTATIONS
"""The permutations can't tell apart what is rarer; each of the two tests has half of it."""
TWINS_SUSPECTED, TWINS_COLLAPSED = 0.05, 0.5
"""The share of fakes with a twin that is suspect without a reference, and that is collapse however bad the images."""


@true_fp32()
def collapse_test(
    fake: Features,
    real: Features | None,
    *,
    labels: Labels | tuple[Labels, Labels] | None = None,
    alpha: float = 0.05,
    seed: int = 0,
) -> CollapseReport:
    """Has the generator collapsed? Two tests at alpha / 2 each, with a check that the fakes can be judged at all.

    A, missing modes: for each class, that the fakes have too few, and under half of the real share. Classes: `labels`,
    a pair (fake, real) of integers (N,), (M,), or the reference's (M,) alone; else the extractor's logits; else the
    reference's labels by nearest neighbours; else k-means. Counts are tested by `modes.share_tests`, a classifier's
    probabilities by `shift.label_shift`, which takes its errors into account. Labels of the fakes say what was asked of
    a conditional generator, not what it made, so they count only if given here.
    B, low diversity: `similarity.similarity_test`, on at most COMPARED images of each set; near-duplicates must be
    three times as frequent as among the real images and 0.2 more a fake, or the Vendi score of order 2 under 0.85 of
    theirs: at large N, differences that are no collapse have small p-values too.

    Half of the reference, drawn by the seed, sets bandwidths, clusters and the real manifold, and takes no part in B,
    nor in A where classes are learnt. The verdict is
    - 'undetermined' where too few fakes are realistic (`fidelity.judge`), unless half of them are copies of each other;
    - 'collapsed' where A finds a missing mode or B near-duplicates; 'suspected' where the Vendi score alone is low,
      for blur lowers it too;
    - 'undetermined' where a class is missing or merely among the unrealistic fakes;
    - else 'none': nothing of the size in `minimum_detectable`.
    If both sets come from one distribution, 'collapsed' or 'suspected' has probability alpha at most, but for the
    rescaling in B; measured in docs/calibration.md.

    Without a reference (real=None) only copies among the fakes can be seen: 'suspected', or else 'undetermined'.

    The features should see what matters: in pixels a light blur is low diversity. The order of the images does not
    matter. Raises GanevalError for under 50 fakes or 100 real images, two extractors, NaN, wrong labels, or a
    reference whose images are mostly alike.
    """
    if not LEAST_ALPHA <= alpha < 1:
        raise GanevalError(f"alpha={alpha:g} of collapse_test; give a probability from {LEAST_ALPHA}, such as 0.05")
    check_features(fake=fake, real=real)
    if real is None:
        return _without_reference(fake, alpha, seed)
    x, y = (rows.cpu() for rows in pair(fake.pooled, real.pooled))
    _check(fake, real)
    random = generator(seed)
    fake_rows, real_rows = shuffled(x, random), shuffled(y, random)
    held, test = real_rows[: len(y) // 2], real_rows[len(y) // 2 :]
    some_fake, some_held, some_test = (rows[:COMPARED] for rows in (fake_rows, held, test))
    similarity = similarity_test(x[some_fake], y[some_test], y[some_held], random, alpha / 2)
    p, q = (None if f.logits is None else f.logits.cpu().double().softmax(1) for f in (fake, real))
    confidence = shift = None
    if p is not None and q is not None:
        confidence = Confidence(p[some_fake].amax(1), q[some_test].amax(1), q[some_held].amax(1))
    fidelity = judge(x[some_fake], y[some_test], y[some_held], confidence, random)
    classes = assign(fake, real, labels, held, test, seed)
    if classes.how == "logits" and p is not None and q is not None:
        shift = label_shift(p[fake_rows], q[real_rows], random, alpha / 2)
        fidelity = replace(fidelity, unclear=shift.unclear)
    modes = _modes(classes, alpha / 2, fidelity, shift)
    support, nearest = find_twins(x[some_fake], similarity, SHOWN)
    kinds = _kinds(modes, similarity, len(some_fake), alpha / 2)
    verdict, kinds = _verdict(kinds, modes, fidelity, support)
    p_modes = min((mode.p_value for mode in modes if mode.p_value is not None), default=1.0)
    compared = (len(some_fake), len(some_test), len(some_held))
    return CollapseReport(
        verdict=verdict,
        kinds=kinds,
        p_value=min(1.0, 2 * min(p_modes, similarity.p_value)),
        reasons=words.reasons(kinds, modes, similarity, fidelity, support, alpha / 2),
        modes=modes,
        p_modes=p_modes,
        similarity=similarity,
        fidelity=fidelity,
        support=support,
        duplicates=tuple((int(fake_rows[i]), int(fake_rows[j]), d) for i, j, d in nearest),
        classes_from=classes.how,
        n_fake=len(x),
        n_real=len(y),
        n_compared=compared,
        alpha=alpha,
        seed=seed,
        minimum_detectable=words.minimum_detectable(classes, shift, similarity, compared, alpha / 2),
        notes=words.notes(classes, shift, len(x), len(y), compared, alpha / 2),
    )


def _check(fake: Features, real: Features) -> None:
    if fake.fingerprint != real.fingerprint:
        raise GanevalError(
            f"the fakes' features are {fake.fingerprint}, the reference's {real.fingerprint}; use one extractor"
        )
    if fake.logits is not None and real.logits is not None:
        pair(fake.logits, real.logits)
    if len(fake) < MIN_FAKE or len(real) < MIN_REAL:
        raise GanevalError(
            f"{len(fake)} fakes and {len(real)} real images are too few to see a collapse; "
            f"{MIN_FAKE} and {MIN_REAL} are needed, 250 and 500 see most"
        )


def _modes(classes: Classes, level: float, fidelity: Fidelity, shift: Shift | None) -> tuple[Mode, ...]:
    modes = find_missing(*classes.counts(), classes.names, level, fidelity.unreadable, fidelity.unclear, shift)
    return tuple(
        replace(mode, examples=tuple(classes.real_rows[classes.real == i][:SHOWN].tolist())) if mode.kind else mode
        for i, mode in enumerate(modes)
    )


def _kinds(modes: tuple[Mode, ...], similarity: Similarity, n: int, level: float) -> tuple[str, ...]:
    found = {mode.kind for mode in modes}
    s = similarity
    excess = (s.duplicates_fake - s.duplicates_real) * (n - 1)
    many = s.duplicates_fake >= MANY_DUPLICATES * s.duplicates_real and excess >= EACH
    if s.p_duplicates <= level and many:
        found.add("duplicated")
    if s.p_vendi <= level and s.vendi_fake <= FEW_KINDS * s.vendi_real:
        found.add("low_diversity")
    return tuple(kind for kind in ("dropped", "starved", "duplicated", "low_diversity") if kind in found)


def _verdict(
    kinds: tuple[str, ...], modes: tuple[Mode, ...], fidelity: Fidelity, support: Support
) -> tuple[Verdict, tuple[str, ...]]:
    if fidelity.low:
        copies = support.with_twin >= TWINS_COLLAPSED
        return ("collapsed", ("duplicated",)) if copies else ("undetermined", ())
    if kinds:
        return ("suspected" if kinds == ("low_diversity",) else "collapsed"), kinds
    return ("undetermined" if any(mode.kind == "hidden" for mode in modes) else "none"), ()


def _without_reference(fake: Features, alpha: float, seed: int) -> CollapseReport:
    x = matrix(fake.pooled, "fake", at_least=MIN_FAKE).cpu()
    rows = shuffled(x, generator(seed))
    some = x[rows[:COMPARED]]
    support, nearest = find_twins(some, None, SHOWN)
    suspected = support.with_twin >= TWINS_SUSPECTED
    verdict: Verdict = "suspected" if suspected else "undetermined"
    kinds = ("duplicated",) if suspected else ()
    return CollapseReport(
        verdict=verdict,
        kinds=kinds,
        p_value=None,
        reasons=words.reasons(kinds, (), None, None, support, alpha / 2),
        modes=(),
        p_modes=None,
        similarity=None,
        fidelity=None,
        support=support,
        duplicates=tuple((int(rows[i]), int(rows[j]), d) for i, j, d in nearest),
        classes_from=None,
        n_fake=len(x),
        n_real=0,
        n_compared=(len(some), 0, 0),
        alpha=alpha,
        seed=seed,
    )
