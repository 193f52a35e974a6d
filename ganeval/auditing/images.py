"""The images that are no longer the user's: shifted, turned, noisy, blurred, compressed, or drawn from a Gaussian."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from io import BytesIO

import numpy as np
import torch
from PIL import Image as Pillow
from torch import Tensor
from torch.nn.functional import affine_grid, conv2d, grid_sample, pad

from ganeval.errors import GanevalError
from ganeval.images import Image, ImageSet, Reader, all_rows
from ganeval.images.arrays import from_memory

SHIFT = 1 / 16
"""Of the side: 4 pixels of 64."""
DEGREES = 15.0
FITTED = 1000
"""Images that the Gaussian is fitted to, at most."""


def shift(image: Tensor, strength: float, random: np.random.RandomState) -> Tensor:
    """Moves the image by a random step, other than none, of at most SHIFT of its side; the edge is repeated."""
    reach = max(1, round(SHIFT * min(image.shape[1:])))
    down, right = 0, 0
    while down == right == 0:
        down, right = random.randint(-reach, reach + 1, size=2)
    wide = _widened(image, reach)
    top, left = reach - down, reach - right
    return wide[:, top : top + image.shape[1], left : left + image.shape[2]].contiguous()


def rotation(image: Tensor, strength: float, random: np.random.RandomState) -> Tensor:
    """Turns the image by an angle between -DEGREES and DEGREES, bilinearly; the edge is repeated."""
    angle, (height, width) = math.radians(random.uniform(-DEGREES, DEGREES)), image.shape[1:]
    cos, sin = math.cos(angle), math.sin(angle)
    # The grid's coordinates run from -1 to 1 along both sides, however long these are.
    turn = torch.tensor([[[cos, -sin * height / width, 0.0], [sin * width / height, cos, 0.0]]])
    grid = affine_grid(turn, [1, *image.shape], align_corners=False)
    return _as_uint8(grid_sample(image[None].float(), grid, "bilinear", "border", align_corners=False)[0])


def noise(image: Tensor, strength: float, random: np.random.RandomState) -> Tensor:
    """Adds Gaussian noise of sd 255 * strength; a grey image stays grey."""
    grey = torch.equal(image[0], image[1]) and torch.equal(image[0], image[2])
    added = random.standard_normal((1 if grey else 3, *image.shape[1:]))
    return _as_uint8(image + 255 * strength * torch.from_numpy(added))


def blur(image: Tensor, strength: float, random: np.random.RandomState) -> Tensor:
    """Blurs by a Gaussian whose sigma is `strength` times the shorter side, cut off at three sigma."""
    sigma = strength * min(image.shape[1:])
    reach = max(1, math.ceil(3 * sigma))
    weights = (-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2).softmax(0)
    wide = pad(image[:, None].float(), [reach] * 4, mode="replicate")
    return _as_uint8(conv2d(conv2d(wide, weights.view(1, 1, 1, -1)), weights.view(1, 1, -1, 1))[:, 0])


def jpeg(image: Tensor, strength: float, random: np.random.RandomState) -> Tensor:
    """Compresses by JPEG at quality 100 - strength, and opens it again."""
    file = BytesIO()
    Pillow.fromarray(image.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=round(100 - strength))
    return torch.from_numpy(np.array(Pillow.open(file).convert("RGB"))).permute(2, 0, 1).contiguous()


ALTERATIONS: dict[str, Callable[[Tensor, float, np.random.RandomState], Tensor]] = {
    "shift": shift, "rotation": rotation, "noise": noise, "blur": blur, "jpeg": jpeg,
}  # fmt: skip


@dataclass(frozen=True)
class AlteredReader:
    """The images of a set, altered; image i by the same random numbers whenever it is read."""

    images: ImageSet
    bank: str
    seed: int

    def __len__(self) -> int:
        return len(self.images)

    def name(self, i: int) -> str:
        return self.images.name(i)

    def read(self, i: int) -> Image:
        kind, _, strength = self.bank.partition(":")
        found = self.images[i]
        random = np.random.RandomState([self.seed, i])
        return replace_pixels(found, ALTERATIONS[kind](found.pixels, float(strength or 1), random))

    def digests(self, rows: Sequence[int]) -> list[bytes]:
        whole = self.images.digests()
        return [hashlib.sha256(whole[i] + f"{self.bank}/{self.seed}/{i}/v1".encode()).digest() for i in rows]

    def changed(self, rows: Sequence[int]) -> list[int]:
        return [rows[i] for i in self.images.subset(rows).changed()]


def replace_pixels(image: Image, pixels: Tensor) -> Image:
    return Image(pixels, "altered", image.treatments)


def altered(images: ImageSet, bank: str, seed: int) -> ImageSet:
    """The same images, each altered as `bank` says ("shift", "noise:0.1"). They need not be of one size."""
    reader: Reader = AlteredReader(images, bank, seed)
    return replace(images, source=f"{images.source} ({bank})", reader=reader, rows=all_rows(reader))


def gaussian(images: ImageSet, count: int, seed: int) -> ImageSet:
    """Images drawn from the Gaussian with the mean and the covariance that the (first FITTED) images have in pixels.

    mean + sum_i w_i (x_i - mean) / sqrt(n - 1), w standard normal: the same as PCA with all components. The values are
    rounded and cut off at 0 and 255. Raises GanevalError for images of several sizes.
    """
    fitted = [images[i].pixels for i in range(min(len(images), FITTED))]
    if len({image.shape for image in fitted}) > 1:
        raise GanevalError(
            f"{images.source} has images of several sizes, from which no generated ones can be made; "
            "give generated images by --samples"
        )
    x = torch.stack(fitted).flatten(1).double()
    mean = x.mean(0)
    weights = torch.from_numpy(np.random.RandomState(seed).standard_normal((count, len(x))))
    drawn = mean + weights @ (x - mean) / (len(x) - 1) ** 0.5
    made = from_memory(_as_uint8(drawn).view(count, *fitted[0].shape))
    return replace(made, source=f"a Gaussian with the mean and covariance of {images.source} in pixels")


def _widened(image: Tensor, margin: int) -> Tensor:
    """With `margin` more pixels on each side, those of the edge repeated."""
    return pad(image[None].float(), [margin] * 4, mode="replicate")[0].to(torch.uint8)


def _as_uint8(values: Tensor) -> Tensor:
    return values.round().clamp(0, 255).to(torch.uint8)
