"""A batch of images as a training loop has it in memory: what is one, and what is not."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganeval.errors import GanevalError

log = logging.getLogger(__name__)


def batch_of(images: Any) -> Tensor:
    """A dense tensor, or what an array of numbers holds.

    Raises GanevalError for anything else, such as a loader's (images, labels).
    """
    if isinstance(images, np.ndarray):
        try:
            # Copied: torch takes no negative strides, nor another byte order, and warns where read-only.
            return torch.from_numpy(np.array(images, images.dtype.newbyteorder("=")))
        except TypeError:
            raise GanevalError(f"a batch is of numbers, got an array of {images.dtype}") from None
    if not isinstance(images, Tensor):
        raise GanevalError(f"a batch is a tensor or an array, got a {type(images).__name__}; "
                           "of a loader's batches give the images: images, _ = batch")  # fmt: skip
    if images.layout != torch.strided or images.is_nested or images.is_quantized or images.is_meta:
        raise GanevalError(f"a batch is one dense tensor of values, got {images.dtype}, {images.layout} on "
                           f"{images.device}; give x.to_dense(), x.dequantize() or a stack")  # fmt: skip
    return images


def pixels_of(images: Any) -> Tensor:
    """uint8 (B, 3, H, W) of a batch, grey ones repeated to RGB, with a word in the log where nearly all is black.

    Raises GanevalError for anything else.
    """
    pixels = batch_of(images)
    if pixels.ndim == 4 and pixels.dtype == torch.uint8 and pixels.shape[1] not in (1, 3) and pixels.shape[3] in (1, 3):
        raise GanevalError(f"a batch must be (B, 3, H, W), got {tuple(pixels.shape)}; "
                           "give images.permute(0, 3, 1, 2)")  # fmt: skip
    if pixels.ndim != 4 or pixels.shape[1] not in (1, 3) or 0 in pixels.shape[2:] or pixels.dtype != torch.uint8:
        raise GanevalError(
            f"a batch must be uint8 images (B, 3, H, W) from 0 to 255, got {pixels.dtype} {tuple(pixels.shape)}; "
            f"{_mend(pixels)}"
        )
    if len(pixels) and not bool((pixels > 1).any()):
        _say_dark()
    return pixels.expand(-1, 3, -1, -1)


@cache
def _say_dark() -> None:
    """Once in a process, for batches are many."""
    log.warning("a batch of images holds 0 and 1 alone; of floats x in [0, 1] the images are (x * 255).round()")


def _mend(batch: Tensor) -> str:
    """How to make images of what is no batch of them."""
    if batch.ndim == 3 and batch.shape[0] in (1, 3):
        return "of one image: images[None]"
    if batch.ndim == 4 and batch.shape[1] == 4:
        return "of RGBA: images[:, :3]"
    if batch.ndim != 4 or batch.shape[1] not in (1, 3) or not batch.numel() or batch.is_complex():
        return "give images (B, 3, H, W)"
    low, high = float(batch.min()), float(batch.max())
    if low >= 0 and 1 < high <= 255 and not batch.is_floating_point():
        return "they look like [0, 255]: images.to(torch.uint8)"
    return rescaled(low, high)


def rescaled(low: float, high: float) -> str:
    """How to bring numbers from low to high to uint8."""
    if low >= 0 and high <= 1:
        return "they look like [0, 1]: (x * 255).round().clamp(0, 255) as uint8"
    # A little beyond a range is what networks give whose output nobody clamps.
    if low >= -0.1 and high <= 1.1:
        return "they look like [0, 1] but for a little: clamp them, x.clamp(0, 1)"
    if low >= -1.1 and high <= 1.1:
        return "they look like [-1, 1]: give ((x + 1) * 127.5).round().clamp(0, 255) as uint8"
    if low >= -25 and 64 <= high <= 280:
        return "they look like [0, 255]: give x.round().clamp(0, 255) as uint8"
    return "scale them to uint8, 0 to 255"
