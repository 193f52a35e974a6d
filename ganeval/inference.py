"""The network run over images: the only no-gradient batching loop in the project."""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter, defaultdict
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from ganeval.allocator import pages_kept
from ganeval.errors import BadImageError, GanevalError
from ganeval.images import Image, ImageSet
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


def run_extractor(
    images: ImageSet,
    extractor: Extractor,
    fingerprint: str,
    device: torch.device,
    precision: Precision,
    batch_size: int,
    workers: int,
    skip_bad: bool,
    progress: str | None,
) -> Features:
    """Features of every image that can be read, with the survey of what was read.

    Raises BadImageError for one that can't be unless `skip_bad`, GanevalError where none can.
    """
    loader: DataLoader = DataLoader(_Readings(images), batch_size=batch_size, num_workers=workers, collate_fn=list)
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
                with in_precision(device, precision):
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


def in_precision(device: torch.device, precision: Precision) -> AbstractContextManager:
    """Autocast for bf16 and fp16; true fp32 otherwise, which cuDNN's TF32 default is not."""
    if precision in _AUTOCAST:
        return torch.autocast(device.type, dtype=_AUTOCAST[precision])
    return torch.backends.cudnn.flags(allow_tf32=False) if device.type == "cuda" else nullcontext()
