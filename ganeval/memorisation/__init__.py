"""Memorisation: does the generator copy its training images? A verdict with its evidence."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from ganeval.errors import GanevalError
from ganeval.fp32 import true_fp32
from ganeval.memorisation import words
from ganeval.memorisation.closest import REACH, Nearest, closeness, closest_test, count_copies, either, one_each
from ganeval.memorisation.report import Copies, MemorisationReport, Pair, Verdict
from ganeval.metrics.copying import authentic, ct
from ganeval.numerics.inputs import generator, pair, shuffled
from ganeval.numerics.nearest import nearest
from ganeval.types import Estimate, Features, check_features

__all__ = ["Copies", "MemorisationReport", "Pair", "memorisation_test"]

MIN_FAKE, MIN_REAL, MIN_TRAIN = 50, 100, 100
"""Images under which nothing is judged."""
MANY = 3.0
"""So many times oftener must fakes than held-out images be among the closest, to be called copies."""
NOT_HELD_OUT = 0.01
"""The share of the reference that may be in the training set before its silence means nothing."""
SHOWN = 8
"""Pairs of a fake and a training image that the evidence names."""


@true_fp32()
def memorisation_test(
    fake: Features, real: Features, train: Features, *, mirrored: Features | None = None, alpha: float = 0.05,
    seed: int = 0,
) -> MemorisationReport:  # fmt: skip
    """Does the generator copy its training images? Compares the fakes with held-out real images.

    fake: N images; real: M real images that the generator was not trained on; train: those that it was trained on,
    all of them, for only the copies of given ones are seen. mirrored: the training images mirrored left to right, row
    by row; they then count as training images too, for features may take a mirrored copy for another image.
    An image's closeness is its distance to the nearest training image over that to the fifth (`closest.closeness`); a
    copy is closer than (almost) any held-out image.
    `closest.closest_test` compares how often fakes and held-out images are among the closest, with one image of each
    set for each training image, drawn with the seed, so that a collapsed generator is no copier by itself. The verdict:
    - 'copying' where its p-value is alpha at most, and fakes are MANY times oftener among the closest;
    - 'suspected' where only the p-value is: generators that hug the training images without copying them;
    - 'undetermined' where neither is, but over NOT_HELD_OUT of the reference is in the training set itself;
    - else 'none': no copying of the size in `minimum_detectable`. Fakes far from all that is real have 'none' too.
    If fakes and held-out images come from one distribution, 'copying' or 'suspected' has probability alpha at most,
    but for the choice of one image of each; measured in docs/memorisation.md.

    A copy is what the features call one: they may not see that an image is shifted or cut from another, nor, without
    `mirrored`, flipped. The order of the images does not matter. Raises GanevalError for under 50 fakes, 100 held-out
    or 100 training images, two extractors, NaN, or another number of mirrored images than of training images.
    """
    _check(fake, real, train, mirrored, alpha)
    x, t = pair(fake.pooled, train.pooled, names=("fake", "train"))
    y, _ = pair(real.pooled, train.pooled, names=("real", "train"))
    flips = None if mirrored is None else pair(fake.pooled, mirrored.pooled, names=("fake", "mirrored"))[1]
    (own, (near_fake, rows_fake)), (_, (near_real, rows_real)) = (_neighbours(rows, t, flips) for rows in (x, y))
    a, b = (closeness(d.cpu().numpy()) for d in (near_fake, near_real))
    random = generator(seed)
    some_fake, some_real = (
        one_each(train_rows[:, 0].cpu().numpy() % len(t), shuffled(rows, random))
        for train_rows, rows in ((rows_fake, x), (rows_real, y))
    )
    p, ratio = closest_test(a[some_fake], b[some_real])
    overlap = float((near_real[:, 0] == 0).double().mean())
    verdict: Verdict = "none" if overlap <= NOT_HELD_OUT else "undetermined"
    if p <= alpha:
        verdict = "copying" if ratio is None or ratio >= MANY else "suspected"
    c_t, notes = _ct(x, t, y, seed)
    n, m = len(some_fake), len(some_real)
    if n < len(x) or m < len(y):
        notes += (f"one image for each training image: {n} of {len(x)} fakes, {m} of {len(y)} held-out images",)
    if flips is not None:
        notes += ("each image was compared with the training images and with their mirror images",)
    copies = count_copies(a, b)
    flipped = int((a[(rows_fake[:, 0] >= len(t)).cpu().numpy()] < copies.limit).sum())
    identical = int((near_fake[:, 0] == 0).sum())
    return MemorisationReport(
        verdict=verdict,
        p_value=p,
        reasons=words.reasons(verdict, copies, len(x), overlap, identical, flipped, c_t),
        copies=copies,
        ratio=ratio,
        pairs=_pairs(a, near_fake.cpu().numpy(), rows_fake.cpu().numpy(), float(np.median(b)), len(t)),
        authenticity=authentic(own[0][:, 0], own[1][:, 0], t),
        ct=c_t,
        overlap=overlap,
        n_fake=len(x),
        n_real=len(y),
        n_train=len(t),
        n_tested=(n, m),
        alpha=alpha,
        seed=seed,
        minimum_detectable=words.minimum_detectable(n, m, alpha),
        notes=notes,
    )


def _check(fake: Features, real: Features, train: Features, mirrored: Features | None, alpha: float) -> None:
    check_features(fake=fake, real=real, train=train, mirrored=mirrored)
    if not 0 < alpha < 1:
        raise GanevalError(f"alpha={alpha} of memorisation_test; give a probability, such as 0.05")
    for features, what in ((real, "reference"), (train, "training set"), (mirrored, "mirrored training set")):
        if features is not None and fake.fingerprint != features.fingerprint:
            raise GanevalError(
                f"the fakes' features are {fake.fingerprint}, the {what}'s {features.fingerprint}; use one extractor"
            )
    if mirrored is not None and len(mirrored) != len(train):
        raise GanevalError(f"{len(mirrored)} mirrored images of {len(train)} training images; give one of each")
    if len(fake) < MIN_FAKE or len(real) < MIN_REAL or len(train) < MIN_TRAIN:
        raise GanevalError(
            f"{len(fake)} fakes, {len(real)} held-out and {len(train)} training images are too few to see copying; "
            f"{MIN_FAKE}, {MIN_REAL} and {MIN_TRAIN} are needed, with 1,000 and 1,000 one copy in a hundred shows"
        )


def _neighbours(rows: Tensor, train: Tensor, flips: Tensor | None) -> tuple[Nearest, Nearest]:
    """The REACH nearest of the training images, and of those and their mirror images."""
    own = nearest(rows, train.to(rows), REACH)
    return own, own if flips is None else either(own, nearest(rows, flips.to(rows), REACH), len(train))


def _ct(x: Tensor, t: Tensor, y: Tensor, seed: int) -> tuple[Estimate | None, tuple[str, ...]]:
    try:
        return ct(x, t, y, seed=seed), ()
    except GanevalError as error:
        return None, (f"no C_T: {error}",)


def _pairs(
    close: np.ndarray, distances: np.ndarray, rows: np.ndarray, usual: float, n_train: int
) -> tuple[Pair, ...]:  # fmt: skip
    """The closest fakes, one for each training image. Rows as of `either`."""
    order = np.argsort(close, kind="stable")
    _, first = np.unique(rows[order, 0] % n_train, return_index=True)
    return tuple(
        Pair(int(i), int(rows[i, 0]) % n_train, float(distances[i, 0]), usual * float(distances[i, -1]),
             float(close[i]), bool(rows[i, 0] >= n_train))
        for i in order[np.sort(first)][:SHOWN]
    )  # fmt: skip
