"""score(): the one orchestration function, from images to a report."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

import ganeval
from ganeval import cache as caches
from ganeval.advice import advise
from ganeval.classes import score_classes, small_classes
from ganeval.collapse import CollapseReport, collapse_test
from ganeval.errors import GanevalError
from ganeval.evaluate import Requests, plan, run
from ganeval.features import pick_device
from ganeval.images import ImageSet, Source
from ganeval.metrics._moments import Running
from ganeval.precision import PrecisionEffect, precision_effect
from ganeval.reference import save_statistics
from ganeval.report import ExtractorInfo, ScoreReport
from ganeval.settings import Precision, Settings
from ganeval.sides import Side, choose_extractor, extract_side, open_side, refuse_mixture
from ganeval.types import Extractor, Features, Moments

PART = 20_000
"""Images whose features `make_reference` keeps in memory: 160 MB of Inception's."""


def score(
    samples: Source | Features,
    reference: Source | Features | None = None,
    *,
    extractor: str | Extractor = "auto",
    metrics: Requests = None,
    weights: str | Path | None = None,
    n: int | None = None,
    seed: int = 0,
    batch_size: int = 64,
    device: str = "auto",
    precision: Precision = "fp32",
    workers: int = 0,
    by_class: bool = False,
    skip_bad: bool = False,
    cache: bool = True,
    data_root: str | Path | None = None,
    progress: bool = False,
    collapse: bool | None = None,
) -> ScoreReport:
    """Scores generated images, against a reference where one is given.

    samples, reference: a folder, .zip, .npz or .npy of images, a named data set ("mnist:test"), uint8 tensors
    (N, 3, H, W), arrays (N, H, W, C), or Features; the reference also a statistics .npz (mu, sigma).
    extractor: "auto" takes the reference's own (a named data set has one, a statistics file too), else "inception".
    metrics: names, with options as "precision:k=5" or {"precision": {"k": 5}}; None runs all that apply.
    weights: a file in place of the extractor's published weights; the report then says so.
    n: scores a random n of the samples and of the reference, drawn with the seed.
    by_class: also scores each class apart, where both sets have labels.
    collapse: whether to judge mode collapse (`ganeval.collapse_test`); None does unless metrics are named.
    See `ganeval.extract` for the other options.

    Rows enter the metrics in the order of the images' content, so file names and their order change no number.
    Raises GanevalError for input that can't be used, UnobtainableError for weights or data that are not here.
    """
    settings = Settings(
        extractor, metrics, weights, n, seed, batch_size, device, precision, workers,
        by_class, skip_bad, cache, data_root, progress, collapse,
    )  # fmt: skip
    return score_each([samples], reference, settings)[0]


def score_each(
    samples: Sequence[Source | Features], reference: Source | Features | None, settings: Settings
) -> list[ScoreReport]:
    """One report for each set of samples; the reference is read once."""
    device = pick_device(settings.device)
    fakes = [open_side(source, settings) for source in samples]
    real = None if reference is None else open_side(reference, settings, may_be_statistics=True)
    net, reason = choose_extractor(settings, fakes[0], real)
    real_images = real
    if real:
        real = extract_side(real, net, settings, "reference")
    reports = []
    for images in fakes:
        began = time.perf_counter()
        fake = extract_side(images, net, settings, images.info.source)
        refuse_mixture(fake, real)
        effect = precision_effect(images, real_images, net, settings)
        reports.append(_report(fake, real, net, reason, device, settings, time.perf_counter() - began, effect))
    return reports


def make_reference(source: Source, path: str | Path, settings: Settings) -> Moments:
    """Writes the statistics of a set of images to an .npz, and returns them.

    Features are kept for PART images at a time, so that memory does not grow with the set.
    """
    side = open_side(source, settings)
    net, _ = choose_extractor(settings, side, None)
    total: Running | None = None
    parts = side.parts(PART)
    for i, part in enumerate(parts, 1):
        features = extract_side(part, net, settings, f"reference {i}/{len(parts)}").features
        more = Running.of(features.pooled)
        total = total + more if total else more
    if total is None or total.n < 2:
        raise GanevalError(f"{side.info.source} has {total.n if total else 0} image(s); statistics need 2 or more")
    moments = replace(total.moments(), fingerprint=features.fingerprint, extractor=net.name if net else None)
    save_statistics(path, moments)
    return moments


def _report(
    fake: Side,
    real: Side | None,
    net: Extractor | None,
    reason: str,
    device: torch.device,
    settings: Settings,
    extract_seconds: float,
    effect: PrecisionEffect | None,
) -> ScoreReport:
    features = fake.features
    data = real.data if real and not isinstance(real.data, ImageSet) else None
    info = ExtractorInfo(
        net.name if net else "features",
        features.fingerprint,
        features.pooled.shape[1],
        net.weights_sha256 if net else None,
        net.verified if net else False,
        settings.precision,
        reason,
    )
    began = time.perf_counter()
    todo = plan(settings.metrics, features, data, info.name, settings.seed)
    key = None
    if settings.cache and fake.info.sha256 and (real is None or real.info.sha256):
        key = caches.key_of(features.fingerprint, fake.info.sha256, real and real.info.sha256)
    scored, failed = run(todo, features, data, device=device, cache_key=key)
    by_class = score_classes(todo, features, data, device, key) if settings.by_class else {}
    metric_seconds = time.perf_counter() - began
    verdict, unjudged = _judge(features, data, settings)
    surveys = {"samples": features.survey, "reference": data.survey if isinstance(data, Features) else None}
    decode = sum(survey.decode_seconds for survey in surveys.values() if survey)
    return ScoreReport(
        fake.info,
        real.info if real else None,
        info,
        scored,
        {**todo.skipped, **failed, **unjudged},
        [
            *advise(features, data, scored, verified=info.verified or net is None),
            *fake.notes,
            *(real.notes if real else ()),
            *small_classes(by_class),
        ],
        settings.seed,
        environment(device),
        {"decode": round(decode, 3), "extract": round(extract_seconds, 3), "metrics": round(metric_seconds, 3)},
        by_class,
        {side: dict(survey.treatments) for side, survey in surveys.items() if survey},
        verdict,
        effect,
    )


def _judge(
    fake: Features, real: Features | Moments | None, settings: Settings
) -> tuple[CollapseReport | None, dict[str, str]]:
    """The verdict on mode collapse, or why there is none; an error where it was asked for."""
    if not (settings.metrics is None if settings.collapse is None else settings.collapse):
        return None, {}
    try:
        if isinstance(real, Moments):
            raise GanevalError("it needs the reference's images; a statistics file holds moments alone")
        return collapse_test(fake, real, seed=settings.seed), {}
    except GanevalError as error:
        if settings.collapse:
            raise GanevalError(f"collapse can't be judged: {error}") from None
        return None, {"collapse": str(error)}


def environment(device: torch.device) -> dict[str, str]:
    """What a number may depend on besides its inputs."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
    return {
        "ganeval": ganeval.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": name,
    }
