"""From rows of features back to images: thumbnails, their bytes, and the picture of a verdict on collapse."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import PIL.Image
import torch
from PIL import ImageDraw, ImageFont
from torch import Tensor

from ganeval.errors import GanevalError
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
    return _tensor(_image(pixels).resize(size, PIL.Image.Resampling.LANCZOS))


def encoded(tile: Tile) -> tuple[bytes, str]:
    """The bytes of a thumbnail as a file, and their type."""
    buffer = io.BytesIO()
    if tile.lossless:
        _image(tile.pixels).save(buffer, "PNG", optimize=True)
        return buffer.getvalue(), "image/png"
    _image(tile.pixels).save(buffer, "JPEG", quality=88, optimize=True)
    return buffer.getvalue(), "image/jpeg"


def _image(pixels: Tensor) -> PIL.Image.Image:
    return PIL.Image.fromarray(np.ascontiguousarray(pixels.permute(1, 2, 0).numpy()))


def _tensor(image: PIL.Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


@dataclass(frozen=True)
class Band:
    """A line of a contact sheet: a label, and thumbnails in groups of `together`, each group with its own words."""

    label: str
    tiles: Sequence[Tile] = ()
    together: int = 1
    words: Sequence[str] = ()
    heading: bool = False


SIDE, GAP, MARGIN, ACROSS = 88, 8, 28, 8
WIDTH = 2 * MARGIN + ACROSS * SIDE + (ACROSS - 1) * GAP


def sheet(bands: Sequence[Band]) -> bytes:
    """A contact sheet as PNG, black on white: the bands below each other, each thumbnail in a square cell."""
    if not any(band.tiles for band in bands):
        raise GanevalError("there are no pictures to show: the sets were given as features; give the images")
    heights = [_height(band) for band in bands]
    canvas = PIL.Image.new("RGB", (WIDTH, sum(heights) + 2 * MARGIN), "white")
    draw = ImageDraw.Draw(canvas)
    top = MARGIN
    for band, height in zip(bands, heights, strict=True):
        _draw(canvas, draw, band, top)
        top += height
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _lines(band: Band) -> list[str]:
    """The label in lines that fit the sheet."""
    font, lines = _font(band), [""]
    for word in band.label.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) > WIDTH - 2 * MARGIN and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _font(band: Band) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(22 if band.heading else 15)


def _height(band: Band) -> int:
    text = len(_lines(band)) * (30 if band.heading else 21) + 6
    below = 18 if band.words else 0
    rows = -(-len(band.tiles) // ACROSS)
    return text + rows * (SIDE + GAP + below) + (14 if band.tiles else 2)


def _draw(canvas: PIL.Image.Image, draw: ImageDraw.ImageDraw, band: Band, top: int) -> None:
    for line in _lines(band):
        draw.text((MARGIN, top), line, fill="black", font=_font(band))
        top += 30 if band.heading else 21
    top += 6
    step = SIDE + GAP + (18 if band.words else 0)
    for i, tile in enumerate(band.tiles):
        # Images of one group touch, so that the eye compares them.
        group, within = divmod(i % ACROSS, band.together)
        left = MARGIN + group * band.together * (SIDE + GAP) + within * SIDE
        y = top + i // ACROSS * step
        _paste(canvas, tile, left, y)
        if band.words and within == 0:
            draw.text((left, y + SIDE + 2), band.words[i // band.together], fill="#555555", font=ImageFont.load_default(12))


def _paste(canvas: PIL.Image.Image, tile: Tile, left: int, top: int) -> None:
    """The thumbnail in the middle of its cell, in whole multiples of its size where it is smaller."""
    image = _image(tile.pixels)
    longest = max(image.size)
    if longest <= SIDE:
        times = SIDE // longest
        image = image.resize((image.width * times, image.height * times), PIL.Image.Resampling.NEAREST)
    else:
        image.thumbnail((SIDE, SIDE), PIL.Image.Resampling.LANCZOS)
    canvas.paste(image, (left + (SIDE - image.width) // 2, top + (SIDE - image.height) // 2))
