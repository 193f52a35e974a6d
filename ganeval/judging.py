"""The verdicts of a score: which can be given, and why another can't."""

from __future__ import annotations

from dataclasses import replace

import torch

from ganeval.collapse import CollapseReport, collapse_test
from ganeval.errors import GanevalError
from ganeval.evaluate import Plan
from ganeval.fp32 import true_fp32
from ganeval.memorisation import MemorisationReport, memorisation_test
from ganeval.numerics.inputs import with_float64
from ganeval.registry import METRICS
from ganeval.settings import Settings
from ganeval.sides import Side
from ganeval.types import Estimate, Features, Moments


def judge_collapse(
    fake: Features, real: Features | Moments | None, settings: Settings
) -> tuple[CollapseReport | None, dict[str, str]]:
    """The verdict on mode collapse, or why there is none; an error where it was asked for."""
    if not (settings.metrics is None if settings.collapse is None else settings.collapse):
        return None, {}
    try:
        if isinstance(real, Moments) and real.features and not settings.collapse:
            why = f"`ganeval collapse` judges it by the {len(real.features):,} features that the statistics file keeps"
            return None, {"collapse": why}
        return collapse_test(fake, None if real is None else _rows(real), seed=settings.seed), {}
    except GanevalError as error:
        if settings.collapse:
            raise GanevalError(f"collapse can't be judged: {error}") from None
        return None, {"collapse": str(error)}


def _rows(real: Features | Moments) -> Features:
    if isinstance(real, Moments):
        if real.features is None:
            raise GanevalError("it needs the reference's images; a statistics file holds moments alone")
        return real.features
    return real


@true_fp32()
def judge_copying(
    fake: Features, real: Features | Moments | None, train: Side | None, settings: Settings, device: torch.device
) -> tuple[MemorisationReport | None, dict[str, str]]:
    """The verdict on copying, where a training set was given, or why there is none."""
    if train is None:
        return None, {}
    if real is None:
        return None, {"memorisation": "real images that the model was not trained on are needed: give them with --ref"}
    try:
        fake, real, learnt = (_on(features, device) for features in (fake, _rows(real), train.features))
        mirrored = None if train.mirrored is None else _on(train.mirrored, device)
        return memorisation_test(fake, real, learnt, mirrored=mirrored, seed=settings.seed), {}
    except GanevalError as error:
        return None, {"memorisation": str(error)}


def _on(features: Features, device: torch.device) -> Features:
    return replace(features, pooled=features.pooled.to(with_float64(device)))


def known_estimates(report: MemorisationReport | None, todo: Plan, seed: int) -> dict[str, Estimate]:
    """The metrics that the verdict has made already, where they were asked for with its options."""
    made = {} if report is None else {"authenticity": ({}, report.authenticity), "ct": ({"seed": seed}, report.ct)}
    return {
        name: estimate
        for name, (given, estimate) in made.items()
        if estimate and name in todo.wanted and todo.wanted[name] == METRICS[name].options(given)
    }
