"""The network run over images, a batch at a time."""

from __future__ import annotations

import hashlib
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from ganeval.allocator import pages_kept
from ganeval.devices import Fitting, Sender, current, decoders, fetched, in_precision
from ganeval.errors import BadImageError, GanevalError
from ganeval.extractors import inference_of
from ganeval.images import ImageSet, PassingError
from ganeval.images.arrays import ArrayReader
from ganeval.settings import Precision
from ganeval.types import Extractor, Features, Survey


@dataclass(frozen=True)
class _Reading:
    """What one image is: its shape, how it was stored, and the sha256 of its pixels; or what is wrong with it, and
    whether that may pass.

    Errors travel as values: a DataLoader worker would bury an exception in its own traceback.
    """

    index: int
    shape: tuple[int, ...] = ()
    format: str = ""
    treatments: tuple[str, ...] = ()
    digest: bytes = b""
    problem: str = ""
    passing: bool = False


class _Readings(Dataset):
    def __init__(self, images: ImageSet) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> tuple[_Reading, Tensor]:
        try:
            pixels, form, treatments = self.images[i]
        except BadImageError as error:
            bad = _Reading(i, problem=str(error), passing=isinstance(error, PassingError))
            return bad, torch.empty(0, dtype=torch.uint8)
        shape = tuple(pixels.shape)
        digest = hashlib.sha256(str(shape).encode() + pixels.numpy().tobytes()).digest()
        return _Reading(i, shape, form, treatments, digest), pixels


@dataclass(frozen=True)
class _Batch:
    """What was read, and the pixels of all images that could be, those of one size together.

    places: for each size, where its images stand among those that could be read.
    One tensor is one piece of shared memory between processes, and one of pinned memory, whatever the sizes are.
    """

    readings: list[_Reading]
    pixels: Tensor
    places: dict[torch.Size, list[int]]

    @classmethod
    def of(cls, items: list[tuple[_Reading, Tensor]]) -> _Batch:
        images = [pixels for reading, pixels in items if not reading.problem]
        places: dict[torch.Size, list[int]] = defaultdict(list)
        for i, pixels in enumerate(images):
            places[pixels.shape].append(i)
        rows = [images[i].ravel() for members in places.values() for i in members]
        return cls([reading for reading, _ in items], torch.cat(rows) if rows else torch.empty(0), dict(places))

    def pin_memory(self) -> _Batch:
        return replace(self, pixels=self.pixels.pin_memory())

    def stacks(self) -> Iterator[tuple[list[int], Tensor]]:
        """The places of the images of each size, and their pixels (B, 3, H, W)."""
        start = 0
        for shape, members in self.places.items():
            end = start + len(members) * shape.numel()
            yield members, self.pixels[start:end].view(len(members), *shape)
            start = end


@dataclass
class _Reader:
    """The batches in turn, with all readings so far and the seconds spent waiting for them."""

    loader: DataLoader
    skip_bad: bool
    readings: list[_Reading] = field(default_factory=list)
    seconds: float = 0.0

    def __iter__(self) -> Iterator[_Batch]:
        batches = iter(self.loader)
        while True:
            began = time.perf_counter()
            try:
                batch = next(batches, None)
            except RuntimeError as error:
                if "DataLoader worker (pid" not in str(error):
                    raise
                raise GanevalError(f"a process that decodes images has ended: {error}; pass --workers 0") from None
            self.seconds += time.perf_counter() - began
            if batch is None:
                return
            for reading in batch.readings:
                if reading.problem and not self.skip_bad:
                    raise BadImageError(reading.problem)
            self.readings += batch.readings
            yield batch


@dataclass(frozen=True)
class Extraction:
    """The features of the images that can be read, perhaps none, and what is wrong with the others.

    problem: of the first of them. passing: of the first that may be readable in another run.
    """

    features: Features
    problem: str = ""
    passing: str = ""


def run_extractor(
    images: ImageSet,
    extractor: Extractor,
    fingerprint: str,
    device: torch.device,
    precision: Precision,
    batch_size: int,
    workers: int | None,
    skip_bad: bool,
    progress: str | None,
) -> Extraction:
    """Features of every image that can be read, with the survey of what was read; (0, 0) where none can.

    Raises BadImageError for one that can't be unless `skip_bad`.
    """
    if workers is None:
        workers = decoders(device, files=not isinstance(images.reader, ArrayReader))
    reader = _Reader(
        DataLoader(
            _Readings(images),
            batch_size,
            num_workers=workers,
            collate_fn=_Batch.of,
            pin_memory=device.type == "cuda",
            # From which it draws a seed, and not from the caller's.
            generator=torch.Generator(),
        ),
        skip_bad,
    )
    bar = tqdm(total=len(images), desc=progress, unit="img", disable=progress is None, leave=False, dynamic_ncols=True)
    columns: list[tuple[Tensor, ...]] = []
    with inference_of(extractor), pages_kept(), current(device), bar:
        for found in fetched(_outputs(reader, extractor.to(device), device, precision, batch_size), device):
            columns.append(found)
            bar.update(len(found[0]))
    kept = [reading for reading in reader.readings if not reading.problem]
    indices = [reading.index for reading in kept]
    bad = [reading for reading in reader.readings if reading.problem]
    if len({found[0].shape[1:] for found in columns}) > 1:
        raise _several_sizes(extractor.name)
    pooled, *logits = map(torch.cat, zip(*columns, strict=True)) if kept else (torch.empty(0, 0),)
    features = Features(
        pooled,
        logits[0] if logits else None,
        fingerprint,
        None if images.labels is None else images.labels[indices],
        images.class_names,
        Survey(
            np.frombuffer(b"".join(reading.digest for reading in kept), np.uint8).reshape(-1, 32),
            np.array(indices, np.int64),
            sizes=Counter(f"{reading.shape[2]}x{reading.shape[1]}" for reading in kept),
            formats=Counter(reading.format for reading in kept),
            treatments=Counter(treatment for reading in kept for treatment in reading.treatments),
            skipped=tuple(images.name(reading.index) for reading in bad),
            decode_seconds=reader.seconds,
        ),
    )
    passing = next((reading.problem for reading in bad if reading.passing), "")
    return Extraction(features, bad[0].problem if bad else "", passing)


def _outputs(
    batches: Iterable[_Batch], extractor: Extractor, device: torch.device, precision: Precision, batch_size: int
) -> Iterator[tuple[Tensor, ...]]:
    """The pooled features and, where there are any, the logits of each batch: float32, on the device."""
    send = Sender(device)
    resize = Fitting(lambda pixels: extractor.resize(send(pixels)), device, batch_size)
    network = Fitting(extractor, device, batch_size)
    for batch in batches:
        if not batch.places:
            continue
        # The resize is done in fp32 whatever the network runs in.
        inputs = _network_inputs(batch, resize, extractor.name)
        with in_precision(device, precision):
            columns = zip(*network(inputs), strict=True)
        yield tuple(_joined([part.float() for part in column]) for column in columns if column[0] is not None)


def _network_inputs(batch: _Batch, resize: Callable[[Tensor], list[Tensor]], name: str) -> Tensor:
    """The network's inputs in the order of the images; those of equal size are resized together."""
    inputs: list[Tensor] = [torch.empty(0)] * sum(map(len, batch.places.values()))
    for members, pixels in batch.stacks():
        resized = _joined(resize(pixels))
        if len(batch.places) == 1:
            return resized
        for i, row in zip(members, resized, strict=True):
            inputs[i] = row
    if len({row.shape for row in inputs}) > 1:
        raise _several_sizes(name)
    return torch.stack(inputs)


def _several_sizes(name: str) -> GanevalError:
    return GanevalError(
        f"the images have several sizes and the extractor {name} does not resize; "
        "give images of one size, or an extractor with a resize method"
    )


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)
