"""From images to features: the only no-gradient batching loop in the project."""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from ganeval import cache as caches
from ganeval.allocator import pages_kept
from ganeval.distributed import gather, rank, running, share
from ganeval.errors import BadImageError, GanevalError
from ganeval.extractors import load_extractor
from ganeval.images import Image, ImageSet, Source, open_images
from ganeval.settings import Precision
from ganeval.types import Extractor, Features, Survey

COUNTED = ("sizes", "formats", "treatments")
_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


def pick_device(name: str) -> torch.device:
    """The torch device called `name`; "auto" takes CUDA, then Apple's MPS, then the CPU.

    Raises GanevalError for a device that this machine does not have.
    """
    if name == "auto":
        mps = torch.backends.mps.is_available()
        # Under torchrun each process of a machine has a card of its own.
        cuda = f"cuda:{int(os.environ.get('LOCAL_RANK', '0')) % max(1, torch.cuda.device_count())}"
        return torch.device(cuda if torch.cuda.is_available() else "mps" if mps else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise GanevalError(f"this machine has no device {name!r}; try --device auto or --device cpu") from None
    return device


def full_fingerprint(extractor: Extractor, precision: Precision) -> str:
    """The fingerprint of features: the extractor's own and the precision it ran in."""
    return f"{extractor.fingerprint}/{precision}"


def extract(
    images: Source,
    extractor: str | Extractor,
    *,
    weights: str | Path | None = None,
    batch_size: int = 64,
    device: str = "auto",
    precision: Precision = "fp32",
    workers: int = 0,
    skip_bad: bool = False,
    cache: bool = True,
    data_root: str | Path | None = None,
    progress: str | None = None,
    distributed: bool = False,
) -> Features:
    """Features of every image, one row each, in the order of the images.

    images: a folder, zip, npz, npy or named data set; uint8 tensor (N, 3, H, W); array (N, H, W, C); ImageSet.
    extractor: a registered name, "module:attribute", or an object with the Extractor protocol.
    skip_bad: leaves out images that can't be read, and lists them in `survey.skipped`.
    cache: keeps the features, keyed by the images' content and the fingerprint.
    progress: the label of a progress bar on stderr; None shows none.
    distributed: shares the work among the ranks of torch.distributed, all of which must call this with the same
    arguments; each gets all features, equal to the bit to those of one process with as many threads.

    Raises GanevalError for input that can't be used, UnobtainableError for weights or data that are not here.
    """
    dataset = open_images(images, data_root=data_root)
    if isinstance(extractor, str):
        extractor = load_extractor(extractor, weights=None if weights is None else Path(weights))
    fingerprint = full_fingerprint(extractor, precision)
    key = caches.key_of(dataset.content_key(), fingerprint) if cache else None
    saved = caches.load_features(key) if key else None
    if saved and not skip_bad and saved.survey and saved.survey.skipped:
        saved = None
    shared = distributed and running()
    # Ranks on other machines have caches of their own: all take what is saved, or none does.
    known = all(gather(saved is not None)) if shared else saved is not None
    if saved and known:
        return saved

    def run(part: ImageSet) -> Features:
        loader: DataLoader = DataLoader(_Readings(part), batch_size=batch_size, num_workers=workers, collate_fn=list)
        return _run(part, loader, extractor, fingerprint, pick_device(device), precision, skip_bad, progress)

    features = _of_all_ranks(dataset, batch_size, run) if shared else run(dataset)
    if key and rank() == 0:
        caches.save_features(key, features)
    return features


def _of_all_ranks(images: ImageSet, batch_size: int, run: Callable[[ImageSet], Features]) -> Features:
    """The features of all images from every rank's share, in the order of the images."""
    own = share(len(images), batch_size)
    part: Features | Exception | None = None
    try:
        part = run(images.subset(own)) if own else None
    except GanevalError as error:
        part = error
    found = [
        (features, survey, np.array(rows)[survey.indices])
        for features, rows in zip(gather(part), gather(own), strict=True)
        if isinstance(features, Features) and (survey := features.survey)
    ]

    def total(name: str) -> Counter[str]:
        return sum((getattr(survey, name) for _, survey, _ in found), Counter())

    def column(name: str) -> Tensor | None:
        columns = [getattr(features, name) for features, _, _ in found]
        return None if columns[0] is None else torch.cat(columns)

    whole = replace(
        found[0][0],
        pooled=torch.cat([features.pooled for features, _, _ in found]),
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


@dataclass(frozen=True)
class _Reading:
    """One image with the sha256 of its pixels, or what is wrong with it.

    Errors travel as values: a DataLoader worker would bury an exception in its own traceback.
    """

    index: int
    image: Image | None
    digest: bytes = b""
    problem: str = ""


class _Readings(Dataset):
    def __init__(self, images: ImageSet) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> _Reading:
        try:
            image = self.images[i]
        except BadImageError as error:
            return _Reading(i, None, problem=str(error))
        shape = str(tuple(image.pixels.shape)).encode()
        return _Reading(i, image, hashlib.sha256(shape + image.pixels.numpy().tobytes()).digest())


def _run(
    images: ImageSet,
    loader: DataLoader,
    extractor: Extractor,
    fingerprint: str,
    device: torch.device,
    precision: Precision,
    skip_bad: bool,
    progress: str | None,
) -> Features:
    extractor = extractor.to(device)
    pooled, logits = [], []
    readings: list[_Reading] = []
    counts: dict[str, Counter[str]] = {name: Counter() for name in COUNTED}
    bar = tqdm(total=len(images), desc=progress, unit="img", disable=progress is None, leave=False, dynamic_ncols=True)
    with torch.no_grad(), pages_kept(), bar:
        waiting = time.perf_counter()
        decode_seconds = 0.0
        for batch in loader:
            decode_seconds += time.perf_counter() - waiting
            if rows := _count(batch, counts, skip_bad):
                # The resize is done in fp32 whatever the network runs in.
                inputs = _network_inputs(rows, extractor, device)
                with _precision(device, precision):
                    features, classes = extractor(inputs)
                pooled.append(features.float().cpu())
                logits.append(None if classes is None else classes.float().cpu())
            # The pixels go; one batch of images is all that memory ever holds.
            readings += [replace(reading, image=None) for reading in batch]
            bar.update(len(batch))
            waiting = time.perf_counter()
    kept = [reading for reading in readings if not reading.problem]
    indices = [reading.index for reading in kept]
    if not kept:
        raise GanevalError(f"none of the {len(images)} images in {images.source} can be read; {readings[0].problem}")
    return Features(
        torch.cat(pooled),
        None if logits[0] is None else torch.cat([row for row in logits if row is not None]),
        fingerprint,
        None if images.labels is None else images.labels[indices],
        images.class_names,
        Survey(
            np.frombuffer(b"".join(reading.digest for reading in kept), np.uint8).reshape(-1, 32),
            np.array(indices, np.int64),
            **counts,
            skipped=tuple(images.name(reading.index) for reading in readings if reading.problem),
            decode_seconds=decode_seconds,
        ),
    )


def _count(batch: list[_Reading], counts: dict[str, Counter[str]], skip_bad: bool) -> list[Image]:
    """The images of a batch, counted by size, format and treatment. Raises BadImageError unless `skip_bad`."""
    images = []
    for reading in batch:
        if reading.image is None:
            if not skip_bad:
                raise BadImageError(reading.problem)
            continue
        images.append(reading.image)
        _, height, width = reading.image.pixels.shape
        counts["sizes"][f"{width}x{height}"] += 1
        counts["formats"][reading.image.format] += 1
        counts["treatments"].update(reading.image.treatments)
    return images


def _network_inputs(images: list[Image], extractor: Extractor, device: torch.device) -> Tensor:
    """The network's inputs in the order of the images; those of equal size are resized together."""
    by_size: dict[torch.Size, list[int]] = defaultdict(list)
    for i, image in enumerate(images):
        by_size[image.pixels.shape].append(i)
    if len(by_size) == 1:
        return extractor.resize(torch.stack([image.pixels for image in images]).to(device))
    inputs: list[Tensor] = [torch.empty(0)] * len(images)
    for members in by_size.values():
        resized = extractor.resize(torch.stack([images[i].pixels for i in members]).to(device))
        for i, row in zip(members, resized, strict=True):
            inputs[i] = row
    if len({row.shape for row in inputs}) > 1:
        raise GanevalError(
            f"the images have several sizes and the extractor {extractor.name} does not resize; "
            "give images of one size, or an extractor with a resize method"
        )
    return torch.stack(inputs)


def _precision(device: torch.device, precision: Precision) -> AbstractContextManager:
    """Autocast for bf16 and fp16; true fp32 otherwise, which cuDNN's TF32 default is not."""
    if precision in _AUTOCAST:
        return torch.autocast(device.type, dtype=_AUTOCAST[precision])
    return torch.backends.cudnn.flags(allow_tf32=False) if device.type == "cuda" else nullcontext()
