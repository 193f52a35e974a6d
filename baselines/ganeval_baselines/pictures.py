"""Small pictures of samples: a grid of images, or the density of points."""

from __future__ import annotations

import io
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import pad

from ganeval.files import write_result
from ganeval.leaderboard.records import LARGEST_PNG
from ganeval_baselines.data import Images, Mixture

CELLS = 8
"""A grid has this many images a side."""

SIDE = 256

GAP = 96
"""Grey level of the line between two images."""


def save(samples: Tensor, path: Path, data: Mixture | Images) -> None:
    """Writes the samples' picture as a PNG that a board takes: points (N, 2), or uint8 images (N, C, H, W) at equal
    steps, CELLS^2 of them or as many as fit into LARGEST_PNG bytes."""
    if isinstance(data, Mixture):
        content = _png(_density(samples, data))
    else:
        sizes = (_png(_grid(samples, cells)) for cells in range(CELLS, 0, -1))
        content = next(png for png in sizes if len(png) < LARGEST_PNG)
    write_result(path, content)


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _grid(samples: Tensor, cells: int) -> Image.Image:
    """cells^2 of the images in a square of about SIDE pixels, each pixel repeated a whole number of times."""
    # At equal steps: MAD-GAN's generators follow one another.
    images = samples[torch.linspace(0, len(samples) - 1, cells**2).long()]
    framed = pad(images, (0, 1, 0, 1), value=GAP)
    rows = [torch.cat(list(row), 2) for row in framed.split(cells)]
    sheet = torch.cat(rows, 1)[:, :-1, :-1].permute(1, 2, 0).numpy()
    picture = Image.fromarray(sheet[..., 0] if sheet.shape[2] == 1 else sheet)
    scale = max(1, SIDE // picture.width)
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)


def _density(points: Tensor, mixture: Mixture) -> Image.Image:
    """A two-dimensional histogram, darker where points are many, over the modes and a margin of a quarter."""
    reach = float(mixture.centres.abs().max()) * 1.25
    cells = ((points / reach + 1) / 2 * SIDE).long()
    inside = cells[((cells >= 0) & (cells < SIDE)).all(1)]
    counts = torch.bincount(inside[:, 0] + SIDE * (SIDE - 1 - inside[:, 1]), minlength=SIDE * SIDE)
    grey = 255 - (counts.view(SIDE, SIDE).clamp(max=4).float() * 60).to(torch.uint8)
    return Image.fromarray(grey.numpy())
