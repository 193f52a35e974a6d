"""Each class scored apart: intra-FID and the rest."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from ganeval import cache as caches
from ganeval.errors import GanevalError
from ganeval.evaluate import Plan, run
from ganeval.registry import METRICS
from ganeval.report import ClassScores
from ganeval.sides import Side
from ganeval.types import Features, Moments

MIN_CLASS = 50
"""A class with fewer images than this gets a warning: its metrics are mostly noise."""


def check_labels(fakes: Sequence[Side], real: Side | None) -> None:
    """Raises GanevalError where a side has no labels: before its images are read."""
    if real is None:
        raise GanevalError("--by-class: a reference is needed: give one with --ref")
    for side in (*fakes, real):
        if isinstance(side.data, Moments):
            raise GanevalError(f"--by-class: {side.info.source} holds no classes; give the reference's images")
        if side.data.labels is None:
            why = "; ".join(note for note in side.notes if "labels" in note)
            raise GanevalError(f"--by-class: {side.info.source} has no labels; "
                               f"{why or 'put each class in a folder of its own'}")  # fmt: skip


def score_classes(
    todo: Plan, fake: Features, real: Features | Moments | None, device: torch.device, key: str | None,
    train: Features | None = None, train_key: str | None = None, shared: bool = False,
) -> dict[str, ClassScores]:  # fmt: skip
    """Each class of the reference scored apart against the samples of the same name.

    A training set without that class leaves out the metrics that read it.
    Both have labels (`check_labels`). Raises GanevalError where no class is in both.
    """
    assert isinstance(real, Features)
    theirs, ours = _class_rows(real), _class_rows(fake)
    if not theirs.keys() & ours.keys():
        raise GanevalError(
            f"--by-class: no class is in both sets (samples: {', '.join(sorted(ours)[:5])}; "
            f"reference: {', '.join(sorted(theirs)[:5])}); name the class folders alike"
        )
    learnt = {} if train is None or train.labels is None else _class_rows(train)
    scores = {}
    for name in sorted(theirs.keys() & ours.keys(), key=_natural):
        a, b = fake[ours[name]], real[theirs[name]]
        part = train[learnt[name]] if train is not None and name in learnt else None
        fit = {k: options for k, options in todo.wanted.items() if part is not None or not _reads(k, train)}
        scored, failed = run(
            replace(todo, wanted=fit, explicit=False), a, b, device=device, cache_key=key and caches.key_of(key, name),
            train=part, train_key=train_key and caches.key_of(train_key, name), shared=shared,
        )  # fmt: skip
        failed |= dict.fromkeys(todo.wanted.keys() - fit.keys(), "the training set has no such class")
        scores[name] = ClassScores(len(a), len(b), scored, failed)
    return scores


def _reads(metric: str, train: Features | None) -> bool:
    return train is not None and METRICS[metric].train != "no"


def _class_rows(features: Features) -> dict[str, torch.Tensor]:
    """{class name: its rows}; a class without a name is called by its number."""
    assert features.labels is not None
    names = dict(enumerate(features.class_names))
    return {
        names.get(int(label), str(int(label))): torch.nonzero(features.labels == label).ravel()
        for label in features.labels.unique()
    }


def class_warnings(by_class: dict[str, ClassScores], fake: Features, real: Features) -> Iterator[str]:
    """What the scores of classes leave out, and which of them say little; nothing where no class was scored apart."""
    if not by_class:
        return
    theirs, ours = _class_rows(real).keys(), _class_rows(fake).keys()
    for names, one, other in (
        (theirs - ours, "reference", "samples lack"),
        (ours - theirs, "samples", "reference lacks"),
    ):
        if names:
            listed = ", ".join(sorted(names, key=_natural))
            yield f"classes of the {one} that the {other}, and the mean over classes leaves out: {listed}"
    small = [name for name, scores in by_class.items() if min(scores.n_fake, scores.n_real) < MIN_CLASS]
    if small:
        yield f"classes with under {MIN_CLASS} images, whose metrics are mostly noise: {', '.join(small)}"


def _natural(name: str) -> tuple[str | int, ...]:
    """By the letters, and by the size of the numbers among them."""
    return tuple(int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name))
