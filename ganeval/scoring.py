"""score(): the one orchestration function, from images to a report."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

import ganeval
from ganeval import cache as caches
from ganeval.advice import advise
from ganeval.classes import score_classes, small_classes
from ganeval.collapse import CollapseReport, collapse_test
from ganeval.errors import GanevalError
from ganeval.evaluate import Requests, plan, run
from ganeval.extractors import load_extractor
from ganeval.features import Precision, extract, pick_device
from ganeval.images import ImageSet, Source, open_images
from ganeval.metrics._moments import moments as moments_of
from ganeval.reference import is_statistics, load_statistics, save_statistics
from ganeval.report import ExtractorInfo, ScoreReport, SetInfo
from ganeval.types import Extractor, Features, Moments


@dataclass(frozen=True)
class Settings:
    """How to score: the options of `score`, with its defaults."""

    extractor: str | Extractor = "auto"
    metrics: Requests = None
    weights: str | Path | None = None
    n: int | None = None
    seed: int = 0
    batch_size: int = 64
    device: str = "auto"
    precision: Precision = "fp32"
    workers: int = 0
    by_class: bool = False
    skip_bad: bool = False
    cache: bool = True
    data_root: str | Path | None = None
    progress: bool = False
    collapse: bool | None = None


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
    fakes = [_open(source, settings) for source in samples]
    real = None if reference is None else _open(reference, settings, may_be_statistics=True)
    net, reason = _choose(settings, fakes[0], real)
    if real:
        real = _extract(real, net, settings, "reference")
    reports = []
    for fake in fakes:
        began = time.perf_counter()
        fake = _extract(fake, net, settings, fake.info.source)
        _refuse_mixture(fake, real)
        reports.append(_report(fake, real, net, reason, device, settings, time.perf_counter() - began))
    return reports


def make_reference(source: Source, path: str | Path, settings: Settings) -> Moments:
    """Writes the statistics of a set of images to an .npz, and returns them."""
    side = _open(source, settings)
    net, _ = _choose(settings, side, None)
    features = _extract(side, net, settings, "reference").features
    moments = replace(
        moments_of(features.pooled), fingerprint=features.fingerprint, extractor=net.name if net else None
    )
    save_statistics(path, moments)
    return moments


@dataclass(frozen=True)
class _Side:
    """The samples or the reference, on the way from images to features in the order of their content."""

    info: SetInfo
    data: ImageSet | Features | Moments
    notes: tuple[str, ...] = ()
    extractor: str | None = None

    @property
    def features(self) -> Features:
        """The data, once extracted."""
        if not isinstance(self.data, Features):
            raise TypeError(f"{self.info.source} has no features")
        return self.data


def _open(source: Source | Features, settings: Settings, *, may_be_statistics: bool = False) -> _Side:
    if isinstance(source, Features):
        return _Side(SetInfo("features", len(source), None), source)
    if may_be_statistics and is_statistics(source):
        moments, sha256 = load_statistics(source)  # type: ignore[arg-type]
        notes: tuple[str, ...] = ()
        if moments.fingerprint is None:
            notes = (f"{source} does not say how its features were made: compare only if by this very extractor",)
        return _Side(SetInfo(str(source), moments.n, sha256), moments, notes, moments.extractor)
    images = open_images(source, data_root=settings.data_root)
    if settings.n is not None:
        if not 2 <= settings.n <= len(images):
            raise GanevalError(f"--n {settings.n}: {images.source} has {len(images)} images; give 2 to {len(images)}")
        rows = np.random.RandomState(settings.seed).permutation(len(images))[: settings.n]
        images = images.subset(sorted(rows.tolist()))
    info = SetInfo(images.source, len(images), images.content_key())
    return _Side(info, images, images.notes, images.extractor)


def _choose(settings: Settings, fake: _Side, real: _Side | None) -> tuple[Extractor | None, str]:
    """The extractor and why it was taken; None where both sides are features already."""
    if isinstance(fake.data, Features) and (real is None or isinstance(real.data, Features | Moments)):
        return None, "features as given"
    name, reason = settings.extractor, "as asked"
    if name == "auto":
        if real and real.extractor:
            name, reason = real.extractor, "the reference's own"
        elif real and isinstance(real.data, Moments):
            name, reason = "inception-pytorch", "the statistics are in pytorch-fid's form"
        elif real is None and fake.extractor:
            name, reason = fake.extractor, "the samples' own"
        else:
            name, reason = "inception", "the default"
    if isinstance(name, str):
        return load_extractor(name, weights=Path(settings.weights) if settings.weights else None), reason
    return name, reason


def _extract(side: _Side, net: Extractor | None, settings: Settings, label: str) -> _Side:
    """The side with its images replaced by their features, rows in the order of the images' digests."""
    if net is None or not isinstance(side.data, ImageSet):
        return side
    features = extract(
        side.data,
        net,
        batch_size=settings.batch_size,
        device=settings.device,
        precision=settings.precision,
        workers=settings.workers,
        skip_bad=settings.skip_bad,
        cache=settings.cache,
        progress=label if settings.progress else None,
    )
    if features.survey:
        columns = np.ascontiguousarray(features.survey.digests).view(">u8")
        features = features[torch.from_numpy(np.lexsort(columns.T[::-1]))]
    return replace(side, data=features, info=replace(side.info, n=len(features)))


def _refuse_mixture(fake: _Side, real: _Side | None) -> None:
    """Numbers from different extractors, weights, resizes or precisions are never compared."""
    if real is None or isinstance(real.data, ImageSet):
        return
    theirs, ours = real.data.fingerprint, fake.features.fingerprint
    if theirs is not None and theirs != ours:
        raise GanevalError(
            f"the features of {real.info.source} were made by {theirs} and those of {fake.info.source} by {ours}; "
            "make both with one extractor and one precision"
        )
    width = real.data.mean.shape[0] if isinstance(real.data, Moments) else real.data.pooled.shape[1]
    if width != fake.features.pooled.shape[1]:
        raise GanevalError(
            f"{real.info.source} has {width} dimensions and the extractor gives {fake.features.pooled.shape[1]}; "
            "choose the --extractor that made the statistics"
        )


def _report(
    fake: _Side,
    real: _Side | None,
    net: Extractor | None,
    reason: str,
    device: torch.device,
    settings: Settings,
    extract_seconds: float,
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
