"""DINOv2 ViT-L/14 by way of timm: the features of FD-DINOv2 (Stein et al., 2023, arXiv:2306.04675).

The position embeddings are interpolated from 518 to 224 pixels by timm, whose bicubic differs in the last digits from
that of the original repository; the numbers are not compared with published ones to the last digit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ganeval.errors import GanevalError
from ganeval.weights import KNOWN, choose, load_checkpoint

SIZE = 224
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
        # timm's own conversion: names, and position embeddings for this size.
        net.load_state_dict(checkpoint_filter_fn(state, net))
    except (RuntimeError, KeyError) as error:
        raise GanevalError(f"{path} is not for this network: {str(error).splitlines()[-1].strip()[:160]}") from None
    return DinoV2(net, digest).eval()
