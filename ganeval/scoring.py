"""score(): the one orchestration function, from images to a report."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from ganeval import cache as caches
from ganeval.advice import advise
from ganeval.classes import check_labels, class_warnings, score_classes
from ganeval.devices import environment, pick_device
from ganeval.distributed import failing_together, gather, rank
from ganeval.errors import GanevalError
from ganeval.evaluate import Plan, Requests, Scored, plan, requested, run
from ganeval.extractors.mirrored import Mirrored
from ganeval.images import ImageSet, Source
from ganeval.judging import judge_collapse, judge_copying, known_estimates
from ganeval.memorisation import MemorisationReport
from ganeval.precision import PrecisionEffect, precision_effect
from ganeval.report import ClassScores, ExtractorInfo, ScoreReport
from ganeval.report.gallery import collect
from ganeval.settings import Precision, Settings
from ganeval.sides import Side, choose_extractor, extract_side, open_side, refuse_mixture
from ganeval.types import Extractor, ExtractorLike, Features


def score(
    samples: Source | Features,
    reference: Source | Features | None = None,
    *,
    extractor: ExtractorLike = "auto",
    metrics: Requests = None,
    weights: str | Path | None = None,
    n: int | None = None,
    seed: int = 0,
    batch_size: int = 64,
    device: str = "auto",
    precision: Precision = "fp32",
    workers: int | None = None,
    by_class: bool = False,
    skip_bad: bool = False,
    cache: bool = True,
    data_root: str | Path | None = None,
    progress: bool = False,
    collapse: bool | None = None,
    train: Source | Features | None = None,
    gallery: bool = False,
    distributed: bool = False,
    paranoid: bool = False,
    mirror: bool = False,
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
    train: the images that the generator was trained on, all of them (`n` does not apply); judges whether it copies
    them (`ganeval.memorisation_test`), and runs the metrics that read them. mirror: they count mirrored too, for
    models trained with random flips; costs one more pass over them, once where the cache keeps it.
    gallery: keeps the pictures that `ScoreReport.to_html` shows, some 200 thumbnails.
    distributed: shares the images and the metrics among the ranks of torch.distributed; all must call this alike.
    progress shows bars on stderr. See `ganeval.extract` for the other options.

    Rows enter the metrics in the order of the images' content, so file names and their order change no number.
    Raises GanevalError for input that can't be used, UnobtainableError for weights or data that are not here.
    """
    settings = Settings(
        extractor=extractor, metrics=metrics, weights=weights, n=n, seed=seed, batch_size=batch_size, device=device,
        precision=precision, workers=workers, by_class=by_class, skip_bad=skip_bad, cache=cache, data_root=data_root,
        progress=progress, collapse=collapse, gallery=gallery, distributed=distributed, paranoid=paranoid,
        mirror=mirror,
    )  # fmt: skip
    if not distributed:
        return score_each([samples], reference, settings, train)[0]
    with failing_together():
        found = score_each([samples], reference, settings, train)
    return gather(found)[0][0]


def score_each(
    samples: Sequence[Source | Features], reference: Source | Features | None, settings: Settings,
    train: Source | Features | None = None,
) -> list[ScoreReport]:  # fmt: skip
    """One report for each set of samples; the reference and the training set are read once."""
    device = pick_device(settings.device)
    requested(settings.metrics)
    if settings.mirror and train is None:
        raise GanevalError("mirror is for the training set: its images count mirrored too; give a training set")
    fakes = [open_side(source, settings) for source in samples]
    real = None if reference is None else open_side(reference, settings, may_be_statistics=True)
    if settings.by_class:
        check_labels(fakes, real)
    net, reason = choose_extractor(settings, fakes[0], real)
    if real:
        real = extract_side(real, net, settings, "reference")
    learnt = None if train is None else _training_set(train, net, settings)
    reports = []
    for images in fakes:
        began = time.perf_counter()
        fake = extract_side(images, net, settings, images.info.source)
        refuse_mixture(fake, real)
        refuse_mixture(fake, learnt)
        seconds = time.perf_counter() - began
        if rank() == 0 or not settings.distributed:
            effect = precision_effect(fake, real, net, settings)
            reports.append(_report(fake, real, learnt, net, reason, device, settings, seconds, effect))
        else:
            _numbers(fake, real, learnt, net.name if net else "features", None, device, settings)
    return reports


def _training_set(source: Source | Features, net: Extractor | None, settings: Settings) -> Side:
    """All of it, whatever `n` is: what was left out could be copied unseen."""
    side = open_side(source, replace(settings, n=None))
    if net is None and isinstance(side.data, ImageSet):
        raise GanevalError(f"{side.info.source} are images and the samples are features; give features of both")
    if settings.mirror and not isinstance(side.data, ImageSet):
        raise GanevalError(f"{side.info.source} can't be mirrored: give the training images, not their features")
    plain = extract_side(side, net, settings, "training set")
    if net is None or not settings.mirror:
        return plain
    mirrored = extract_side(side, Mirrored(net), settings, "training set, mirrored").features
    return replace(plain, mirrored=replace(mirrored, fingerprint=plain.features.fingerprint))


def _report(
    fake: Side,
    real: Side | None,
    train: Side | None,
    net: Extractor | None,
    reason: str,
    device: torch.device,
    settings: Settings,
    extract_seconds: float,
    effect: PrecisionEffect | None,
) -> ScoreReport:
    features = fake.features
    data = real.known if real else None
    info = ExtractorInfo.of(net, features, settings.precision, reason)
    learnt = train.features if train else None
    began = time.perf_counter()
    copying, unseen = judge_copying(features, data, train, settings, device)
    todo, scored, failed, by_class = _numbers(fake, real, train, info.name, copying, device, settings)
    metric_seconds = time.perf_counter() - began
    verdict, unjudged = judge_collapse(features, data, settings)
    surveys = {"samples": features.survey, "reference": data.survey if isinstance(data, Features) else None}
    decode = features.survey.decode_seconds if features.survey else 0.0
    return ScoreReport(
        samples=fake.info,
        reference=real.info if real else None,
        extractor=info,
        metrics=scored,
        skipped={**todo.skipped, **failed, **unjudged, **unseen},
        warnings=[
            *advise(features, data, scored, info.title, verified=info.verified or net is None, train=learnt),
            *fake.notes,
            *(real.notes if real else ()),
            *(train.notes if train else ()),
            *(class_warnings(by_class, features, data) if isinstance(data, Features) else ()),
        ],
        seed=settings.seed,
        environment=environment(device),
        seconds={"decode": round(decode, 3), "extract": round(extract_seconds, 3), "metrics": round(metric_seconds, 3)},
        by_class=by_class,
        treatments={side: dict(survey.treatments) for side, survey in surveys.items() if survey},
        collapse=verdict,
        memorisation=copying,
        train=train.info if train else None,
        precision_effect=effect,
        gallery=collect(fake, real, train, verdict, copying, settings.seed) if settings.gallery else None,
    )


def _numbers(
    fake: Side, real: Side | None, train: Side | None, extractor: str, copying: MemorisationReport | None,
    device: torch.device, settings: Settings,
) -> tuple[Plan, dict[str, Scored], dict[str, str], dict[str, ClassScores]]:  # fmt: skip
    """The metrics, of all images and of each class, and why others are missing; the ranks of a job share them.

    copying: the verdict whose estimates need not be made again; the first rank's is taken.
    """
    features, learnt = fake.features, train.features if train else None
    data = real.known if real else None
    todo = plan(settings.metrics, features, data, extractor, settings.seed, learnt)
    key = None
    if settings.cache and fake.info.sha256 and (real is None or real.info.sha256):
        key = caches.key_of(features.fingerprint, _name_of(fake), real and _name_of(real))
    train_key = _name_of(train) if train and train.info.sha256 else None
    known = known_estimates(copying, todo, settings.seed)
    shared = settings.distributed
    if shared:
        known = gather(known)[0]
    scored, failed = run(
        todo, features, data, device=device, cache_key=key, train=learnt, train_key=train_key, known=known,
        shared=shared,
    )  # fmt: skip
    by_class = score_classes(todo, features, data, device, key, learnt, train_key, shared) if settings.by_class else {}
    return todo, scored, failed, by_class


def _name_of(side: Side) -> str:
    """The cache's name of what was read: of an image that changed or was left out since, the content says too much."""
    survey = side.data.survey if isinstance(side.data, Features) else None
    read = hashlib.sha256(survey.digests.tobytes()).hexdigest() if survey else None
    return caches.key_of(side.info.sha256, read)
