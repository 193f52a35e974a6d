"""The pixels themselves: no network, no weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor
from torch.nn.functional import interpolate

from ganeval.errors import GanevalError


class Pixels:
    """uint8 RGB (B, 3, H, W) to float32 (B, 3 * size**2) in [0, 1], after an antialiased bilinear resize."""

    verified = True
    weights_sha256 = None

    def __init__(self, size: int) -> None:
        self.size = size
        self.name = f"pixels:{size}"
        self.fingerprint = f"pixels/bilinear-antialias{size}/v1"

    def resize(self, images: Tensor) -> Tensor:
        size = (self.size, self.size)
        return interpolate(images.float() / 255, size, mode="bilinear", align_corners=False, antialias=True)

    def __call__(self, inputs: Tensor) -> tuple[Tensor, None]:
        return inputs.flatten(1), None

    def to(self, device: Any) -> Pixels:
        return self


def load(variant: str | None, weights: Path | None) -> Pixels:
    """Pixels at `variant` x `variant`; the registry says 32 by default."""
    if weights is not None:
        raise GanevalError("the extractor pixels has no weights; leave out --weights")
    if not (variant and variant.isdecimal() and 1 <= int(variant) <= 512):
        raise GanevalError(f"pixels:{variant}: give a size from 1 to 512, such as pixels:32")
    return Pixels(int(variant))
