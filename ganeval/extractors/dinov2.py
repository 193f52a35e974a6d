"""DINOv2 ViT-L/14 by way of timm: the features of FD-DINOv2 (Stein et al., 2023, arXiv:2306.04675).

The network was trained at 518 pixels; its position embeddings are fitted to 224 as the original repository does it,
not as timm would: timm's antialias smooths them, and so moves every feature.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ganeval.errors import GanevalError
from ganeval.extractors.state_dicts import load_checkpoint, misfit
from ganeval.weights import KNOWN, choose

SIZE = 224
PATCH = 14
MODEL = "vit_large_patch14_dinov2"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class DinoV2(nn.Module):
    """Maps a normalised batch (B, 3, 224, 224) to class tokens (B, 1024). No logits."""

    def __init__(self, net: nn.Module, weights_sha256: str) -> None:
        super().__init__()
        self.name = "dinov2"
        self.net = net
        self.weights_sha256: str | None = weights_sha256
        # No sha256 is published for this file.
        self.verified = False
        self.fingerprint = f"dinov2-vitl14/{weights_sha256[:8]}/bicubic-antialias224/v1"

    def resize(self, images: Tensor) -> Tensor:
        """Squashed to a square by antialiased bicubic, in 8 bits as Pillow does it, then ImageNet's mean and sd."""
        resized = interpolate(images.float(), (SIZE, SIZE), mode="bicubic", align_corners=False, antialias=True)
        mean, std = (torch.tensor(v, device=images.device).view(1, 3, 1, 1) for v in (MEAN, STD))
        return (resized.round().clamp(0, 255) / 255 - mean) / std

    def forward(self, inputs: Tensor) -> tuple[Tensor, None]:
        return self.net(inputs), None


def fitted(positions: Tensor) -> Tensor:
    """Position embeddings (1, 1 + 37 * 37, D) for 16 x 16 patches: bicubic at the scale 16.1 / 37, no antialias.

    The tenth of a patch keeps the original's size from rounding down, and shifts where it samples.
    """
    side = math.isqrt(positions.shape[1] - 1)
    if side == SIZE // PATCH:
        return positions
    grid = positions[:, 1:].unflatten(1, (side, side)).permute(0, 3, 1, 2)
    scale = (SIZE // PATCH + 0.1) / side
    return torch.cat([positions[:, :1], interpolate(grid, scale_factor=scale, mode="bicubic").flatten(2).mT], 1)


def load(variant: str | None, weights: Path | None) -> DinoV2:
    """DINOv2 from its original checkpoint, published or given."""
    try:
        import timm
        from timm.models.vision_transformer import checkpoint_filter_fn
    except ImportError:
        raise GanevalError("the extractor dinov2 needs timm; pip install 'ganeval[dinov2]'") from None
    path, digest = choose(KNOWN["dinov2"], weights)
    state = load_checkpoint(path)
    net: Any = timm.create_model(MODEL, pretrained=False, num_classes=0, img_size=SIZE)
    try:
        state["pos_embed"] = fitted(state["pos_embed"])
        # timm's own conversion of the names.
        net.load_state_dict(checkpoint_filter_fn(state, net))
    except (RuntimeError, KeyError, IndexError) as error:
        raise misfit(path, error) from None
    return DinoV2(net, digest).eval()
