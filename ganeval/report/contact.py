"""A contact sheet, and the picture of a verdict on collapse: the missing modes in real images, the nearest samples."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import PIL.Image
from PIL import ImageDraw, ImageFont

from ganeval.errors import GanevalError
from ganeval.report.evidence import MISSING
from ganeval.report.pictures import Tile, picture
from ganeval.report.tables import number

if TYPE_CHECKING:
    from ganeval.report import ScoreReport


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
        # Images of one group stand close, so that the eye compares them.
        group, within = divmod(i % ACROSS, band.together)
        left = MARGIN + group * band.together * (SIDE + GAP) + within * (SIDE + 2)
        y = top + i // ACROSS * step
        _paste(canvas, tile, left, y)
        if band.words and within == 0:
            said = band.words[i // band.together]
            draw.text((left, y + SIDE + 2), said, fill="#555555", font=ImageFont.load_default(12))


def _paste(canvas: PIL.Image.Image, tile: Tile, left: int, top: int) -> None:
    """The thumbnail in the middle of its cell, in whole multiples of its size where it is smaller."""
    image = picture(tile.pixels)
    longest = max(image.size)
    if longest <= SIDE:
        times = SIDE // longest
        image = image.resize((image.width * times, image.height * times), PIL.Image.Resampling.NEAREST)
    else:
        image.thumbnail((SIDE, SIDE), PIL.Image.Resampling.LANCZOS)
    canvas.paste(image, (left + (SIDE - image.width) // 2, top + (SIDE - image.height) // 2))


def collapse_picture(reports: Sequence[ScoreReport]) -> bytes:
    """PNG: the real images of each mode with too few fakes by name, and the nearest pairs of samples side by side.

    The reports come from `score(..., gallery=True)`.
    Raises GanevalError where no report has a picture to show.
    """
    bands = [band for report in reports for band in _bands(report)]
    if not any(band.tiles for band in bands):
        raise GanevalError("there is no picture to show: give the images, not features, and keep a gallery")
    return sheet(bands)


def _bands(report: ScoreReport) -> list[Band]:
    collapse, gallery = report.collapse, report.gallery
    if collapse is None or gallery is None:
        return []
    kinds = f": {', '.join(kind.replace('_', ' ') for kind in collapse.kinds)}" if collapse.kinds else ""
    against = f" against {report.reference.source}" if report.reference else ""
    verdict = "no collapse found" if collapse.verdict == "none" else f"{collapse.verdict}{kinds}"
    bands = [Band(f"{report.samples.source}{against}", heading=True), Band(verdict)]
    for mode in collapse.too_few:
        kind = MISSING.get(mode.kind or "", mode.kind)
        counts = f"{kind}: {mode.n_fake:,} of the samples, {mode.n_real:,} of the real images, such as these"
        bands.append(Band(f"{mode.name}, {counts}", [gallery.real[i] for i in mode.examples if i in gallery.real]))
    if report.reference and not collapse.too_few:
        bands.append(Band("No class is missing."))
    pairs = [pair for pair in collapse.duplicates if pair[0] in gallery.fake and pair[1] in gallery.fake]
    tiles = [gallery.fake[i] for pair in pairs for i in pair[:2]]
    words = [f"{number(d)}{' (copy)' if d <= collapse.support.distance else ''}" for _, _, d in pairs]
    return [*bands, Band("The nearest pairs of samples, with their distances", tiles, 2, words)]
