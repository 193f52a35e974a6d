"""From rows of features back to images: thumbnails, and their bytes."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import PIL.Image
import torch
from torch import Tensor

from ganeval.images import ImageSet
from ganeval.types import Survey

LARGEST = 96
"""Thumbnails are reduced to at most so many pixels a side; smaller images stay as they are."""
LOSSLESS = 64
"""Thumbnails up to this side are stored pixel for pixel, as PNG; larger ones as JPEG, a quarter of the bytes."""


@dataclass(frozen=True)
class Tile:
    """A thumbnail: uint8 (3, H, W), no side above LARGEST, and the file, member or array row that it shows."""

    pixels: Tensor
    name: str

    @property
    def lossless(self) -> bool:
        return max(self.pixels.shape[1:]) <= LOSSLESS


def thumbnails(images: ImageSet, survey: Survey, rows: Iterable[int]) -> dict[int, Tile]:
    """The images behind these rows of the features that `survey` describes, by row.

    Raises BadImageError for a file that has become unreadable since.
    """
    found = {}
    for row in rows:
        i = int(survey.indices[row])
        found[row] = Tile(reduced(images[i].pixels), images.name(i))
    return found


def reduced(pixels: Tensor) -> Tensor:
    """uint8 (3, H, W) with its longer side at most LARGEST, by Lanczos; the same pixels where it is that small."""
    _, height, width = pixels.shape
    scale = LARGEST / max(height, width)
    if scale >= 1:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    smaller = np.array(picture(pixels).resize(size, PIL.Image.Resampling.LANCZOS))
    return torch.from_numpy(smaller).permute(2, 0, 1).contiguous()


def encoded(tile: Tile) -> tuple[bytes, str]:
    """The bytes of a thumbnail as a file, and their type."""
    buffer = io.BytesIO()
    if tile.lossless:
        picture(tile.pixels).save(buffer, "PNG", optimize=True)
        return buffer.getvalue(), "image/png"
    picture(tile.pixels).save(buffer, "JPEG", quality=88, optimize=True)
    return buffer.getvalue(), "image/jpeg"


def picture(pixels: Tensor) -> PIL.Image.Image:
    """uint8 (3, H, W) as Pillow's image."""
    return PIL.Image.fromarray(np.ascontiguousarray(pixels.permute(1, 2, 0).numpy()))
