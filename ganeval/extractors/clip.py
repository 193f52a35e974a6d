"""CLIP ViT-L/14 at 336 pixels by way of open_clip: the features of CMMD (arXiv:2401.09603)."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ganeval.errors import GanevalError
from ganeval.extractors.state_dicts import into, load_checkpoint
from ganeval.weights import KNOWN, choose

SIZE = 336
MODEL = "ViT-L-14-336-quickgelu"
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


class Clip(nn.Module):
    """Maps a normalised batch (B, 3, 336, 336) to image embeddings (B, 768). No logits."""

    def __init__(self, net: nn.Module, weights_sha256: str, *, verified: bool) -> None:
        super().__init__()
        self.name = "clip"
        self.net = net
        self.weights_sha256: str | None = weights_sha256
        self.verified = verified
        self.fingerprint = f"clip-vitl14-336/{weights_sha256[:8]}/centre-bicubic336/v1"

    def resize(self, images: Tensor) -> Tensor:
        """The largest centred square, antialiased bicubic in 8 bits as Pillow does it, then CLIP's mean and sd."""
        height, width = images.shape[2:]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        square = images[..., top : top + side, left : left + side].float()
        resized = interpolate(square, (SIZE, SIZE), mode="bicubic", align_corners=False, antialias=True)
        mean, std = (torch.tensor(v, device=images.device).view(1, 3, 1, 1) for v in (MEAN, STD))
        return (resized.round().clamp(0, 255) / 255 - mean) / std

    def forward(self, inputs: Tensor) -> tuple[Tensor, None]:
        return self.net(inputs), None


def load(variant: str | None, weights: Path | None) -> Clip:
    """The image tower of OpenAI's CLIP, from the published archive, or from a state dict file."""
    try:
        import open_clip
    except ImportError:
        raise GanevalError("the extractor clip needs open_clip; pip install 'ganeval[clip]'") from None
    published = KNOWN["clip"]
    path, digest = choose(published, weights)
    # open_clip's own factory warns of random weights on the root logger.
    net = open_clip.CLIP(**open_clip.get_model_config(MODEL))
    if published.matches(digest):
        # OpenAI publishes a TorchScript archive, which holds code: it is opened only where its sha256 is theirs.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch's about TorchScript, the only form there is
            state = torch.jit.load(path, map_location="cpu").state_dict()
        state = {key: value.float() for key, value in state.items() if key in net.state_dict()}
    else:
        state = load_checkpoint(path)
    into(net, state, path)
    return Clip(net.visual, digest, verified=published.matches(digest)).eval()
