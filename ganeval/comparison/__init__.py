"""Is A better than B? The difference of every metric against one reference, with its error."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ganeval.advice import of_images, unlike
from ganeval.comparison import influence as closed
from ganeval.comparison import transport
from ganeval.comparison.differences import Difference, difference, nearer
from ganeval.comparison.influence import Influence
from ganeval.comparison.neighbours import neighbours
from ganeval.comparison.report import Compared, ComparisonReport
from ganeval.devices import environment, pick_device
from ganeval.errors import GanevalError
from ganeval.evaluate import Plan, Requests, plan, read_of, requested, tried, values
from ganeval.fp32 import true_fp32
from ganeval.images import ImageSet, Source
from ganeval.numerics.inputs import matrix, pair, row_digests, with_float64
from ganeval.numerics.multiple import holm
from ganeval.registry import METRICS, Metric
from ganeval.report import ExtractorInfo
from ganeval.settings import Precision, Settings
from ganeval.sides import Side, choose_extractor, extract_side, open_side, refuse_mixture
from ganeval.types import ExtractorLike, Features, Moments

__all__ = ["Compared", "ComparisonReport", "Difference", "compare", "compare_sets"]

MIN_IMAGES = 50
NEIGHBOURS = {"one_nn_accuracy", "one_nn_accuracy_real", "one_nn_accuracy_fake", "precision", "recall", "density",
              "coverage"}  # fmt: skip
FAMILIES: Mapping[str, Callable[..., dict[str, Influence]]] = {
    "fid": closed.frechet, "fid_debiased": closed.frechet, "kid": closed.kernels, "mmd": closed.kernels,
    "cmmd": closed.kernels, **dict.fromkeys(sorted(NEIGHBOURS), neighbours),
}  # fmt: skip
"""The metrics that share their work, by the function that makes those of one family."""
INFLUENCES: Mapping[str, Callable[..., Influence]] = {
    "inception_score": closed.inception_score, "mode_score": closed.mode_score, "emd": transport.emd,
    "sliced_wasserstein": transport.sliced_wasserstein, "vendi": closed.vendi,
}  # fmt: skip
TRAIN = "it is about the training set: see `ganeval score --train`"
NO_INFLUENCE = {
    "ndb": "it counts tests that pass a level, and jumps with them: an image has no influence on it",
    "mifid": "its penalty jumps at eps: an image has no influence on it",
    "authenticity": TRAIN,
    "ct": TRAIN,
}
ANY_N = {"kid", "fid_debiased", "precision", "density"}
"""The metrics whose expectation does not depend on the number of fakes."""


def compare(
    a: Source | Features,
    b: Source | Features,
    reference: Source | Features,
    *,
    extractor: ExtractorLike = "auto",
    metrics: Requests = None,
    paired: bool = False,
    alpha: float = 0.05,
    weights: str | Path | None = None,
    n: int | None = None,
    seed: int = 0,
    batch_size: int = 64,
    device: str = "auto",
    precision: Precision = "fp32",
    workers: int | None = None,
    skip_bad: bool = False,
    cache: bool = True,
    data_root: str | Path | None = None,
    progress: bool = False,
    paranoid: bool = False,
) -> ComparisonReport:
    """Is A better than B? For each metric a - b, with standard error, 95% interval and p-value.

    a, b, reference: as for `ganeval.score`; the reference may be a statistics .npz, which is taken as exact.
    metrics: as for `score`; None compares on all that allow it, and the report says why others are left out.
    paired: A and B belong together image by image, in the order of their file names, as two models' outputs of the
    same latents do; then what both images of a pair have in common drops out too. Never assumed.
    alpha: the probability of finding any difference where there is none, over all metrics (Holm's correction).

    The error of a difference is not that of two independent numbers: both share the reference, so each real image's
    influences on A's and on B's number are subtracted (see `comparison.differences.difference`). An interval is for
    the difference at these numbers of images. Where A and B have unequal numbers, metrics that depend on n take a
    random part of the larger set, drawn with the seed; `kid` is the unbiased estimate from all pairs of images.
    How often a difference is found where there is none, and where there is one: docs/compare.md.

    Raises GanevalError for under 50 images, the same set twice, pairs of unequal n, features of different extractors,
    or a metric asked for by name that can't be compared; UnobtainableError for weights or data that are not here.
    """
    settings = Settings(
        extractor=extractor, metrics=metrics, weights=weights, n=n, seed=seed, batch_size=batch_size, device=device,
        precision=precision, workers=workers, skip_bad=skip_bad, cache=cache, data_root=data_root, progress=progress,
        paranoid=paranoid,
    )  # fmt: skip
    return compare_sets(a, b, reference, settings, paired=paired, alpha=alpha)


def compare_sets(
    a: Source | Features, b: Source | Features, reference: Source | Features, settings: Settings, *,
    paired: bool = False, alpha: float = 0.05,
) -> ComparisonReport:  # fmt: skip
    """`compare`, with the options of `score` as one value."""
    if not 0 < alpha < 1:
        raise GanevalError(f"alpha={alpha} of compare; give a probability, such as 0.05")
    began = time.perf_counter()
    device = pick_device(settings.device)
    for name in requested(settings.metrics) or ():
        if name in NO_INFLUENCE:
            raise GanevalError(f"{name} can't be compared: {NO_INFLUENCE[name]}")
    one, two = open_side(a, settings), open_side(b, settings)
    real = open_side(reference, settings, may_be_statistics=True)
    net, reason = choose_extractor(settings, one if isinstance(one.data, ImageSet) else two, real)
    notes = _pairs(one, two, settings) if paired else []
    real = extract_side(real, net, settings, "reference")
    one, two = (
        extract_side(side, net, settings, side.info.source, by_content=not paired) for side in (one, two)
    )  # fmt: skip
    x, y, data = one.features, two.features, real.data if isinstance(real.data, Moments) else real.features
    _check(one, two, real)
    info = ExtractorInfo.of(net, x, settings.precision, reason)
    todo = plan(settings.metrics, x if y.logits is not None else y, data, info.name, settings.seed)
    found, failed = _differences(todo, x, y, data, with_float64(device), settings.seed, paired)
    adjusted = holm([d.p_value for d in found.values()])
    compared = {
        name: Compared(METRICS[name], info.title(METRICS[name]), d, p, todo.wanted[name],
                       nearer(d.a, d.b, METRICS[name].better) if p <= alpha else "")
        for (name, d), p in zip(found.items(), adjusted, strict=True)
    }  # fmt: skip
    notes += _taken(found, todo, x, y, data, info.title)
    return ComparisonReport(
        a=one.info,
        b=two.info,
        reference=real.info,
        extractor=info,
        metrics=compared,
        skipped={name: NO_INFLUENCE.get(name, why) for name, why in {**todo.skipped, **failed}.items()},
        warnings=[*notes, *(note for side in (one, two, real) for note in side.notes), *_warnings(one, two, real)],
        paired=paired,
        alpha=alpha,
        seed=settings.seed,
        environment=environment(device),
        seconds=round(time.perf_counter() - began, 3),
    )


def _pairs(a: Side, b: Side, settings: Settings) -> list[str]:
    """What the report says of the pairs. Raises GanevalError where A and B can't be paired."""
    n, m = (len(side.data) for side in (a, b) if not isinstance(side.data, Moments))
    if n != m:
        raise GanevalError(f"--paired needs as many images in A as in B, got {n} and {m}; compare without it")
    if settings.skip_bad:
        raise GanevalError("--paired and --skip-bad do not go together: a skipped image shifts all pairs after it")
    if not (isinstance(a.data, ImageSet) and isinstance(b.data, ImageSet)):
        return []
    names = [(Path(a.data.name(i)).name, Path(b.data.name(i)).name) for i in range(n)]
    unlike = [pair for pair in names if pair[0] != pair[1]]
    if not unlike:
        return []
    return [f"{len(unlike):,} of {n:,} pairs have two names, such as {unlike[0][0]} and {unlike[0][1]}"]


def _check(a: Side, b: Side, real: Side) -> None:
    refuse_mixture(a, b)
    refuse_mixture(a, real)
    sizes = [len(side.features) for side in (a, b, real) if not isinstance(side.data, Moments)]
    if min(sizes) < MIN_IMAGES:
        raise GanevalError(f"{', '.join(map(str, sizes))} images are too few to compare; "
                           f"{MIN_IMAGES} are needed, 1,000 tell good models apart")  # fmt: skip
    same = a.info.sha256 == b.info.sha256 if a.info.sha256 and b.info.sha256 else False
    # In whichever order: features that are given are not sorted by content.
    if same or sorted(row_digests(a.features.pooled)) == sorted(row_digests(b.features.pooled)):
        raise GanevalError("A and B are the same images: every difference is exactly 0; give two sets")


def _warnings(a: Side, b: Side, real: Side) -> Iterator[str]:
    data = real.data if isinstance(real.data, Features) else None
    for name, side in (("A", a), ("B", b)):
        if side.info.sha256 and side.info.sha256 == real.info.sha256:
            yield f"{name} is the reference itself: its numbers are those of copies"
        else:
            yield from (f"{name}: {warning}" for warning in of_images(side.features, data))
    if a.features.survey and b.features.survey:
        yield from unlike(a.features.survey, b.features.survey, ("the images of A", "those of B"))


def _differences(
    todo: Plan, a: Features, b: Features, real: Features | Moments, device: Any, seed: int, paired: bool
) -> tuple[dict[str, Difference], dict[str, str]]:
    """The differences, and why others are missing."""
    sides: list[dict[str, Influence]] = []
    failed: dict[str, str] = {}
    for side in (a, b):
        sizes = {name: _sizes(name, todo.wanted[name], side, min(len(a), len(b)), real) for name in todo.wanted}
        influences, reasons = _influences(todo.wanted, sizes, side, real, device, seed)
        sides.append(influences)
        failed = reasons | failed
        if failed and todo.explicit:
            name = next(name for name in todo.wanted if name in failed)
            raise GanevalError(f"{name} can't be compared: {failed[name]}")
    one, two = sides
    found = {
        name: difference(one[name], two[name], METRICS[name].better, paired=paired)
        for name in todo.wanted
        if name in one and name in two
    }
    if not found:
        raise GanevalError(f"nothing to compare: {'; '.join(f'{m}: {why}' for m, why in failed.items())}")
    return found, failed


def _sizes(
    name: str, options: Mapping[str, Any], side: Features, n: int, real: Features | Moments
) -> tuple[int, int | None]:
    """How many of a side's images a metric takes, and how many real ones; n: of the smaller side."""
    real = read_of(METRICS[name], real)
    m = len(real) if isinstance(real, Features) else None
    if _at_any_n(name, options):
        return len(side), m
    if METRICS[name].better == "half" and m is not None:
        return min(n, m), min(n, m)  # best at 0.5 only where there are as many real images as fakes
    return n, m


def _at_any_n(name: str, options: Mapping[str, Any]) -> bool:
    return name in ANY_N or bool(options.get("unbiased"))


def _taken(
    found: Mapping[str, Difference], todo: Plan, a: Features, b: Features, real: Features | Moments,
    title: Callable[[Metric], str],
) -> Iterator[str]:  # fmt: skip
    """What the report says of metrics that took a part of a set."""
    unequal = [title(METRICS[m]) for m in found if len(a) != len(b) and not _at_any_n(m, todo.wanted[m])]
    if unequal:
        yield (f"unequal n: {len(a)} in A and {len(b)} in B; {', '.join(unequal)} depend on n and took a random "
               f"{min(len(a), len(b))} of each")  # fmt: skip
    half = [m for m in found if METRICS[m].better == "half"]
    n, rows = min(len(a), len(b)), read_of(METRICS[half[0]], real) if half else real
    if half and isinstance(rows, Features) and len(rows) != n:
        yield (f"{', '.join(title(METRICS[m]) for m in half)}: best at 0.5 only for as many real images as fakes, so "
               f"taken of a random {min(n, len(rows))} of each")  # fmt: skip


def _some(features: Features, n: int, seed: int) -> Features:
    if len(features) == n:
        return features
    rows = np.random.RandomState(seed).permutation(len(features))[:n]
    return features[torch.from_numpy(np.sort(rows))]


def _influences(
    wanted: Mapping[str, Mapping[str, Any]], sizes: Mapping[str, tuple[int, int | None]], fake: Features,
    real: Features | Moments, device: Any, seed: int,
) -> tuple[dict[str, Influence], dict[str, str]]:  # fmt: skip
    """Of one side, with as many images as `sizes` says; and why some can't be had."""
    batches: dict[Any, list[str]] = {}
    for name in wanted:
        batches.setdefault((FAMILIES.get(name, name), *sizes[name]), []).append(name)
    found: dict[str, Influence] = {}
    failed: dict[str, str] = {}
    for (_, n, m), names in batches.items():
        rows = read_of(METRICS[names[0]], real)
        others = _some(rows, m, seed) if isinstance(rows, Features) and m is not None else real
        results, reasons = tried(_compute, names, wanted, _some(fake, n, seed), others, device)
        found |= results
        failed |= reasons
    return found, failed


@true_fp32()
def _compute(
    names: list[str], wanted: Mapping[str, Mapping[str, Any]], fake: Features, real: Features | Moments, device: Any
) -> dict[str, Influence]:
    metric = METRICS[names[0]]
    arguments: list[Any] = [matrix(getattr(fake, metric.on).to(device), "a set")]
    if metric.reference:
        others = values(metric, real, device)
        if isinstance(others, Moments):
            arguments.append(others.to(arguments[0].device))
        else:
            arguments = list(pair(arguments[0], others, names=("a set", "the reference")))
    if metric.name in FAMILIES:
        return FAMILIES[metric.name](*arguments, {name: wanted[name] for name in names})
    if metric.name not in INFLUENCES:
        raise GanevalError(NO_INFLUENCE.get(metric.name, "no influences of images on it are known"))
    return {metric.name: INFLUENCES[metric.name](*arguments, **wanted[metric.name])}
