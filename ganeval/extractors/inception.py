"""Inception for FID: the network of the original TensorFlow graph, in three published pre-processings.

| name              | resize to 299                                   | scale           | same as                 |
|-------------------|-------------------------------------------------|-----------------|-------------------------|
| inception         | bilinear of TensorFlow 1, no antialias          | (x - 128) / 128 | torch-fidelity, TTUR    |
| inception-pytorch | bilinear of PyTorch (half-pixel), no antialias  | 2 x / 255 - 1   | pytorch-fid             |
| inception-clean   | bicubic, antialiased, clipped to 0..255         | (x - 128) / 128 | clean-fid               |

The features are the 2048 of the last pool; the logits are the 1008 without bias that the Inception Score uses.
Both come from one pass.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import torch
from pytorch_fid.inception import FIDInceptionA, FIDInceptionC, FIDInceptionE_1, FIDInceptionE_2
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torchvision.models.inception import Inception3

from ganeval.extractors.folding import CPU_BATCH, fold
from ganeval.extractors.state_dicts import into, load_checkpoint
from ganeval.weights import KNOWN, choose

SIZE = 299
TRUNK = (
    "Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "maxpool1", "Conv2d_3b_1x1", "Conv2d_4a_3x3", "maxpool2",
    "Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e",
    "Mixed_7a", "Mixed_7b", "Mixed_7c",
)  # fmt: skip


def network() -> Inception3:
    """torchvision's Inception with the blocks that pytorch-fid patches; the weights are not set."""
    net = Inception3(num_classes=1008, aux_logits=False, transform_input=False, init_weights=False)
    for name, width in (("Mixed_5b", 192), ("Mixed_5c", 256), ("Mixed_5d", 288)):
        setattr(net, name, FIDInceptionA(width, pool_features=32 if width == 192 else 64))
    for name, width in (("Mixed_6b", 128), ("Mixed_6c", 160), ("Mixed_6d", 160), ("Mixed_6e", 192)):
        setattr(net, name, FIDInceptionC(768, channels_7x7=width))
    net.Mixed_7b = FIDInceptionE_1(1280)
    net.Mixed_7c = FIDInceptionE_2(2048)
    return net


def _tf1_taps(size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Both neighbours of each of 299 places, and the second's share: source = i * size / 299, no half-pixel shift."""
    source = torch.arange(SIZE) * (size / SIZE)
    low = source.floor().long()
    return low, (low + 1).clamp(max=size - 1), source - low


@lru_cache(maxsize=64)
def _tf1_matrix(size: int) -> Tensor:
    """TensorFlow 1's bilinear resize of a row, as a matrix (size, 299)."""
    low, high, share = _tf1_taps(size)
    places = torch.arange(SIZE)
    weights = torch.zeros(size, SIZE)
    weights.index_put_((low, places), 1 - share, accumulate=True)
    return weights.index_put_((high, places), share, accumulate=True)


def resize_tf1(images: Tensor) -> Tensor:
    """TensorFlow 1's bilinear resize, rows then columns, to (x - 128) / 128.

    Rows lie together in memory, so two are mixed at a time; along a row a matrix product is faster than gathering.
    """
    low, high, share = (t.to(images.device) for t in _tf1_taps(images.shape[2]))
    rows = torch.lerp(images[..., low, :].float(), images[..., high, :].float(), share[:, None])
    return (rows @ _tf1_matrix(images.shape[3]).to(images.device) - 128) / 128


def resize_pytorch(images: Tensor) -> Tensor:
    """As pytorch-fid: to [0, 1], PyTorch's bilinear without antialias, to [-1, 1]."""
    return 2 * interpolate(images.float() / 255, (SIZE, SIZE), mode="bilinear", align_corners=False) - 1


def resize_clean(images: Tensor) -> Tensor:
    """As clean-fid: bicubic with antialias on floats, which PyTorch computes as Pillow does, clipped, not rounded."""
    resized = interpolate(images.float(), (SIZE, SIZE), mode="bicubic", align_corners=False, antialias=True)
    return (resized.clamp(0, 255) - 128) / 128


RESIZES: dict[str, tuple[str, str, Callable[[Tensor], Tensor]]] = {
    "tf1": ("inception", "tf1-bilinear299", resize_tf1),
    "pytorch": ("inception-pytorch", "pytorch-bilinear299", resize_pytorch),
    "clean": ("inception-clean", "bicubic-antialias299", resize_clean),
}


class Inception(nn.Module):
    """Maps float32 (B, 3, 299, 299) in [-1, 1] to pooled (B, 2048) and bias-free logits (B, 1008)."""

    def __init__(self, variant: str, weights_sha256: str, *, verified: bool) -> None:
        super().__init__()
        self.name, resize, self.resize = RESIZES[variant]
        self.net = network()
        self.weights_sha256: str | None = weights_sha256
        self.verified = verified
        self.fingerprint = f"inception-2015-12-05/{weights_sha256[:8]}/{resize}/v1"

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        # On a CPU larger batches are no faster, and their activations take 20 MB an image.
        parts = inputs.split(CPU_BATCH) if inputs.device.type == "cpu" else (inputs,)
        pooled = torch.cat([self._pooled(part) for part in parts])
        with torch.autocast(inputs.device.type, enabled=False):
            return pooled, pooled @ self.net.fc.weight.T

    def _pooled(self, inputs: Tensor) -> Tensor:
        """In the precision of autocast, but for the mean: rounding that costs more digits than it saves time."""
        kind = inputs.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else inputs.dtype
        x = inputs.to(dtype, memory_format=torch.channels_last)
        for name in TRUNK:
            x = self.net.get_submodule(name)(x)
        return x.float().mean((2, 3))


def load(variant: str | None, weights: Path | None) -> Inception:
    """Inception with the published weights, or with those of a file.

    Raises UnobtainableError where the published ones can't be had, GanevalError for a file that does not fit.
    """
    published = KNOWN["inception"]
    path, digest = choose(published, weights)
    state = load_checkpoint(path)
    extractor = Inception(variant or "tf1", digest, verified=published.matches(digest))
    into(extractor.net, state, path)
    fold(extractor.net.eval())
    return extractor.eval()
