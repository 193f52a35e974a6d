"""From images to features: taken from the cache, or made by this process or by all ranks of a job."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from torch import Tensor

from ganeval import cache as caches
from ganeval.devices import pick_device
from ganeval.distributed import gather, rank, running, share
from ganeval.errors import GanevalError
from ganeval.extractors import as_extractor
from ganeval.images import ImageSet, Source, open_images
from ganeval.inference import Extraction, run_extractor
from ganeval.settings import Precision, Settings, check_precision, whole
from ganeval.types import Extractor, ExtractorLike, Features, Survey

log = logging.getLogger(__name__)


class NoImageError(GanevalError):
    """Of a set or a part of one, not a single image can be read."""


def full_fingerprint(extractor: Extractor, precision: Precision) -> str:
    """The fingerprint of features: the extractor's own and the precision it ran in, which is checked here."""
    check_precision(precision)
    return f"{extractor.fingerprint}/{precision}"


def precision_of(fingerprint: str) -> Precision | None:
    """The precision that a full fingerprint names; None where it names none."""
    named = fingerprint.rpartition("/")[2]
    return next((precision for precision in get_args(Precision) if precision == named), None)


def extract_with(images: ImageSet, net: Extractor, settings: Settings, label: str) -> Features:
    """`extract` as the settings say, under a progress bar of that label where they want one."""
    return extract(
        images, net, batch_size=settings.batch_size, device=settings.device, precision=settings.precision,
        workers=settings.workers, skip_bad=settings.skip_bad, cache=settings.cache,
        progress=label if settings.progress else None, distributed=settings.distributed,
    )  # fmt: skip


def extract(
    images: Source,
    extractor: ExtractorLike,
    *,
    weights: str | Path | None = None,
    batch_size: int = 64,
    device: str = "auto",
    precision: Precision = "fp32",
    workers: int | None = None,
    skip_bad: bool = False,
    cache: bool = True,
    data_root: str | Path | None = None,
    progress: str | None = None,
    distributed: bool = False,
    paranoid: bool = False,
) -> Features:
    """Features of every image, one row each, in the order of the images.

    images: a folder, zip, npz, npy or named data set; uint8 tensor (N, 3, H, W); array (N, H, W, C); ImageSet.
    extractor: a registered name, "module:attribute", an object with the Extractor protocol, or a function or
    nn.Module from uint8 (B, 3, H, W) to features (B, D), which is put into evaluation mode while it runs.
    skip_bad: leaves out images that can't be read, and lists them in `survey.skipped`.
    cache: keeps the features, keyed by the images' content and the fingerprint. paranoid: reads every byte for that
    key; without it a file whose size, times and inode are as they were is taken to be unchanged (docs/cache.md).
    progress: the label of a progress bar on stderr; None shows none.
    distributed: shares the work among the ranks of torch.distributed, all of which must call this with the same
    arguments; each gets all features, equal to the bit to those of one process with as many threads.

    Features are not kept where an image was left out that may be readable later, or changed while the run went on.

    Raises GanevalError for input that can't be used, NoImageError where no image can be read, UnobtainableError for
    weights or data that are not here.
    """
    batch_size = whole("batch_size", batch_size, 1)
    dataset = open_images(images, data_root=data_root, cache=cache, paranoid=paranoid)
    net = as_extractor(extractor, weights=weights)
    fingerprint = full_fingerprint(net, precision)
    key = caches.key_of(dataset.content_key(), fingerprint) if cache else None
    saved = caches.load_features(key) if key else None
    if saved and not skip_bad and saved.survey and saved.survey.skipped:
        saved = None
    shared = distributed and running()
    # Ranks on other machines have caches of their own: all take what is saved, or none does.
    known = all(gather(saved is not None)) if shared else saved is not None
    if saved and known:
        return _named_here(saved, dataset)

    def run(part: ImageSet) -> Extraction:
        where = pick_device(device)
        return run_extractor(part, net, fingerprint, where, precision, batch_size, workers, skip_bad, progress)

    found = _of_all_ranks(dataset, batch_size, run) if shared else run(dataset)
    if not len(found.features):
        raise NoImageError(f"none of the {len(dataset)} images in {dataset.source} can be read; {found.problem}")
    if key and rank() == 0 and _lasting(found, dataset):
        caches.save_features(key, found.features)
    return found.features


def _lasting(found: Extraction, images: ImageSet) -> bool:
    """Whether these are for good the features of the content by which the cache would know them; else a warning."""
    if found.passing:
        log.warning("an image was left out that may be readable later: features not cached: %s", found.passing)
    elif changed := images.changed():
        first = images.name(changed[0])
        log.warning("%d image(s) changed while this ran, %s the first: features not cached", len(changed), first)
    else:
        return True
    return False


def _named_here(features: Features, images: ImageSet) -> Features:
    """Saved features of these images: those that were left out are called what they are called now."""
    survey = features.survey
    if not survey or not survey.skipped:
        return features
    left_out = sorted(set(range(len(images))) - set(survey.indices.tolist()))
    return replace(features, survey=replace(survey, skipped=tuple(map(images.name, left_out))))


def _of_all_ranks(images: ImageSet, batch_size: int, run: Callable[[ImageSet], Extraction]) -> Extraction:
    """What all ranks found in their shares, features in the order of the images."""
    own = share(len(images), batch_size)
    part: Extraction | Exception | None = None
    try:
        part = run(images.subset(own)) if own else None
    except GanevalError as error:
        part = error
    parts = [(part, rows) for part, rows in zip(gather(part), gather(own), strict=True) if isinstance(part, Extraction)]

    def first(name: str) -> str:
        return next((problem for part, _ in parts if (problem := getattr(part, name))), "")

    return Extraction(_joined([(part.features, rows) for part, rows in parts]), first("problem"), first("passing"))


def _joined(parts: list[tuple[Features, list[int]]]) -> Features:
    """Features of shares of the images, and which images each share is of, as one in the order of the images."""
    found = [
        (features, survey, np.array(rows)[survey.indices]) for features, rows in parts if (survey := features.survey)
    ]
    # A share of which nothing could be read does not know how wide features are.
    full = [features for features, _, _ in found if len(features)]
    if not full:
        return found[0][0]

    def total(name: str) -> Counter[str]:
        return sum((getattr(survey, name) for _, survey, _ in found), Counter())

    def column(name: str) -> Tensor | None:
        columns = [getattr(features, name) for features in full]
        return None if columns[0] is None else torch.cat(columns)

    whole = replace(
        full[0],
        pooled=torch.cat([features.pooled for features in full]),
        logits=column("logits"),
        labels=column("labels"),
        survey=Survey(
            np.concatenate([survey.digests for _, survey, _ in found]),
            np.concatenate([rows for _, _, rows in found]),
            total("sizes"),
            total("formats"),
            total("treatments"),
            tuple(name for _, survey, _ in found for name in survey.skipped),
            max(survey.decode_seconds for _, survey, _ in found),
        ),
    )
    return whole[torch.from_numpy(np.argsort(np.concatenate([rows for _, _, rows in found])))]
