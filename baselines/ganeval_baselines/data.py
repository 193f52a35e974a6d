"""Training sets: 2-D mixtures, named image sets, folders. Batch s of a run is a function of (seed, s) alone."""

from __future__ import annotations

import hashlib
import math
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ganeval.cache import key_of
from ganeval.datasets import DATASETS
from ganeval.errors import GanevalError, unknown
from ganeval.images import Image, ImageSet, Reader, Source, open_images
from ganeval.images.named import fetch
from ganeval.leaderboard.records import NAME

HELD_OUT = 10
"""Of an image folder, one image in this many is held out to score against."""


class Batch(NamedTuple):
    """real: float32 (B, *shape), images in [-1, 1]. labels: int64 (B,), or None where there are no classes."""

    real: Tensor
    labels: Tensor | None


class TrainingSet(Protocol):
    """What a model trains on. classes is 0 where there are no labels; sha256 is of the content."""

    @property
    def name(self) -> str: ...

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def classes(self) -> int: ...

    @property
    def sha256(self) -> str: ...

    @property
    def labels_per_image(self) -> int: ...

    def batch(self, seed: int, step: int, size: int) -> Batch:
        """Batch number `step` of the run with this seed: the same for every model."""
        ...


def stream(*numbers: int) -> int:
    """A 64-bit seed for the random stream that these numbers name."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


def rng(*numbers: int) -> torch.Generator:
    """A random generator on the CPU, the same on every machine."""
    return torch.Generator().manual_seed(stream(*numbers))


@lru_cache(maxsize=4)
def _shuffle(seed: int, epoch: int, n: int) -> Tensor:
    return torch.randperm(n, generator=rng(seed, epoch, n))


def rows(seed: int, step: int, size: int, n: int) -> Tensor:
    """The row numbers of batch `step`: the epochs' shuffles of n rows, end to end, cut into batches."""
    first, last = step * size, (step + 1) * size
    parts = []
    for epoch in range(first // n, -(-last // n)):
        parts.append(_shuffle(seed, epoch, n)[max(first - epoch * n, 0) : last - epoch * n])
    return torch.cat(parts)


@dataclass(frozen=True)
class Mixture:
    """Equal isotropic Gaussians at `centres` (K, 2), of standard deviation `spread`; every batch is drawn afresh."""

    name: str
    centres: Tensor
    spread: float
    shape: tuple[int, ...] = (2,)
    classes: int = 0
    class_names: tuple[str, ...] = ()
    labels_per_image: int = 1

    @property
    def arguments(self) -> str:
        return self.name

    @property
    def sha256(self) -> str:
        return hashlib.sha256(repr((self.centres.tolist(), self.spread)).encode()).hexdigest()

    def batch(self, seed: int, step: int, size: int) -> Batch:
        return Batch(self.draw(size, rng(seed, step)), None)

    def draw(self, n: int, random: torch.Generator) -> Tensor:
        """n points (n, 2)."""
        centres = self.centres[torch.randint(len(self.centres), (n,), generator=random)]
        return centres + self.spread * torch.randn(n, 2, generator=random)


def ring8() -> Mixture:
    """Eight modes on the unit circle, spread 0.01 (Srivastava et al., 2017, as in PacGAN's code).

    Angles 2 pi k / 8: the notebook of Metz et al. takes linspace(0, 2 pi, 8), whose first and last mode are one.
    """
    angles = torch.arange(8, dtype=torch.float64) * (2 * math.pi / 8)
    return Mixture("ring8", torch.stack([angles.cos(), angles.sin()], 1).float(), 0.01)


def grid25() -> Mixture:
    """A 5 x 5 grid of modes at -4, -2, 0, 2, 4, spread 0.05 (Srivastava et al., 2017)."""
    line = torch.arange(-4.0, 5.0, 2.0)
    return Mixture("grid25", torch.cartesian_prod(line, line), 0.05)


@dataclass(frozen=True)
class Images:
    """Images kept as uint8 (N, C, H, W), with labels (N,) or None, and those held out to score against.

    stacked: colour channels that each take a grey image of their own (Stacked MNIST), else 1.
    arguments: what `--data` and its companions must say to load these images again.
    """

    name: str
    pixels: Tensor
    labels: Tensor | None
    class_names: tuple[str, ...]
    sha256: str
    held_out: ImageSet
    stacked: int = 1
    labels_per_image: int = 1
    arguments: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.stacked * self.pixels.shape[1], *self.pixels.shape[2:])

    @cached_property
    def kinds(self) -> int:
        """Classes of one image; labels may come without names."""
        return 0 if self.labels is None else max(len(self.class_names), int(self.labels.max()) + 1)

    @property
    def classes(self) -> int:
        return self.kinds**self.stacked

    def batch(self, seed: int, step: int, size: int) -> Batch:
        chosen = rows(seed, step, size * self.stacked, len(self.pixels)).view(self.stacked, size)
        real = torch.cat([self.pixels[part] for part in chosen], 1).float() / 127.5 - 1
        return Batch(real, None if self.labels is None else self._numbered(self.labels[chosen]))

    def draw_labels(self, n: int, random: torch.Generator) -> Tensor | None:
        """n labels (n,), as often as the training set has them; None where it has none."""
        if self.labels is None:
            return None
        return self._numbered(self.labels[torch.randint(len(self.labels), (self.stacked, n), generator=random)])

    def reference(self) -> Source:
        """The images that samples are compared with: those held out."""
        return self.held_out

    def _numbered(self, digits: Tensor) -> Tensor:
        """The number (n,) that the labels of stacked images (stacked, n) spell."""
        number = torch.zeros_like(digits[0])
        for place in digits:
            number = number * self.kinds + place
        return number


def to_uint8(samples: Tensor) -> Tensor:
    """Samples in [-1, 1] as the nearest of 256 levels."""
    return ((samples + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


MIXTURES = {"ring8": ring8, "grid25": grid25}
STACKED = {"stacked_mnist": "mnist"}
MULTI_MNIST = "multi_mnist"
NAMES = (*MIXTURES, *DATASETS, *STACKED, MULTI_MNIST)


def load(
    name: str, *, data_root: Path | None = None, image_size: int | None = None, download: bool = False
) -> Mixture | Images:
    """The train split of a data set (see NAMES), or nine tenths of an image folder, zip, npz or npy.

    download: fetches a named data set's files into data_root first.
    Raises GanevalError for an unknown name, images of mixed sizes, or an image_size for what has its own;
    UnobtainableError where the files are not here.
    """
    key = name.lower().replace("-", "_")
    if image_size and key in (*MIXTURES, MULTI_MNIST):
        raise GanevalError(f"--image-size {image_size}: {key} is drawn in a size of its own; leave it out")
    if key in MIXTURES:
        return MIXTURES[key]()
    if key == MULTI_MNIST:
        from ganeval_baselines.multi_mnist import multi_mnist

        return multi_mnist(data_root, download)
    if key in STACKED or key in DATASETS:
        base = STACKED.get(key, key)
        if download:
            fetch(base, data_root)
        opened = open_images(f"{base}:train", data_root=data_root)
        held_out = open_images(f"{base}:test", data_root=data_root)
        return _images(key, opened, held_out, image_size, key, stacked=3 if key in STACKED else 1)
    path = Path(name).expanduser()
    if not path.exists():
        raise unknown("data set", name, NAMES)
    opened = open_images(path)
    # Chosen by content, so that a file's name or place moves no image across.
    digests = opened.digests()
    order = sorted(range(len(opened)), key=digests.__getitem__)
    # Of each image all copies on one side: what was trained on is no reference.
    tenth = set(sorted(set(digests))[::HELD_OUT])
    kept, held = ([i for i in order if (digests[i] in tenth) == out] for out in (False, True))
    if not kept or not held:
        raise GanevalError(f"{name} has {len(set(digests))} image(s), but for copies; training needs more")
    # The folder's own name, of "." too; records are files of that name.
    stem = path.resolve().stem
    if not re.fullmatch(NAME, stem):
        raise GanevalError(f"{name}: data and models have names of letters, digits and _ . + - alone; rename {stem!r}")
    return _images(stem, opened.subset(kept), opened.subset(held), image_size, str(path))


def _images(
    name: str, opened: ImageSet, held_out: ImageSet, image_size: int | None, source: str, stacked: int = 1
) -> Images:
    sha256, arguments = opened.content_key(), shlex.quote(source)
    if image_size:
        # Images of another size are another training set, and another reference.
        sha256, arguments = key_of(sha256, image_size), f"{arguments} --image-size {image_size}"
        opened, held_out = (replace(one, reader=Squares(one.reader, image_size)) for one in (opened, held_out))
    pixels = pixels_of(opened)
    if len(pixels[0]) == 1 and not all(_grey(held_out[i].pixels) for i in range(len(held_out))):
        pixels = pixels.expand(-1, 3, -1, -1)
    return Images(name, pixels, opened.labels, opened.class_names, sha256, held_out, stacked, arguments=arguments)


@dataclass(frozen=True)
class Squares:
    """A reader's images, cropped to their central square and resized to side x side by antialiased bilinear."""

    reader: Reader
    side: int

    def __len__(self) -> int:
        return len(self.reader)

    def read(self, i: int) -> Image:
        image = self.reader.read(i)
        return image._replace(pixels=_resized(image.pixels, self.side))

    def name(self, i: int) -> str:
        return self.reader.name(i)

    def digests(self, rows: Sequence[int]) -> list[bytes]:
        return [hashlib.sha256(digest + f"/{self.side}".encode()).digest() for digest in self.reader.digests(rows)]

    def changed(self, rows: Sequence[int]) -> list[int]:
        return self.reader.changed(rows)


def pixels_of(opened: ImageSet) -> Tensor:
    """uint8 (N, 3, H, W), or (N, 1, H, W) where all are grey."""
    images = [opened[i].pixels for i in range(len(opened))]
    sizes = {tuple(image.shape[1:]) for image in images}
    if len(sizes) > 1:
        raise GanevalError(
            f"{opened.source} holds images of {len(sizes)} sizes; --image-size 32 crops and resizes them alike"
        )
    pixels = torch.stack(images)
    return pixels[:, :1].contiguous() if _grey(pixels) else pixels


def _grey(pixels: Tensor) -> bool:
    """Whether all channels (..., 3, H, W) are one."""
    return bool((pixels == pixels[..., :1, :, :]).all())


def _resized(image: Tensor, side: int) -> Tensor:
    height, width = image.shape[1:]
    square = min(height, width)
    top, left = (height - square) // 2, (width - square) // 2
    image = image[None, :, top : top + square, left : left + square].float()
    return interpolate(image, (side, side), mode="bilinear", antialias=True)[0].round().clamp(0, 255).to(torch.uint8)
