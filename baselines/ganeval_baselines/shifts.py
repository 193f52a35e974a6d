"""Moving images by whole pixels, each by its own."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

BACKGROUND = -1.0
"""Black, where images lie in [-1, 1]."""


def window(images: Tensor, top: Tensor, left: Tensor, side: int) -> Tensor:
    """The squares (B, C, side, side) of images (B, C, H, W) whose upper left corners are (top, left), each (B,)."""
    here = images.device
    span = torch.arange(side, device=here)
    image = torch.arange(len(images), device=here).view(-1, 1, 1, 1)
    channel = torch.arange(images.shape[1], device=here).view(-1, 1, 1)
    return images[image, channel, top.view(-1, 1, 1, 1) + span.view(-1, 1), left.view(-1, 1, 1, 1) + span]


def shifted(x: Tensor, reach: int) -> Tensor:
    """Each image of x (B, C, S, S) moved by its own uniform draw from -reach to reach pixels, down and across.

    What comes in at the margin is BACKGROUND. The draws come from torch's global generator.
    """
    if not reach:
        return x
    top, left = torch.randint(2 * reach + 1, (2, len(x)), device=x.device)
    return window(pad(x, [reach] * 4, value=BACKGROUND), top, left, x.shape[-1])
