"""Inception for FID: the network of the original TensorFlow graph, in three published pre-processings; and for sFID.

| name              | resize to 299                                   | scale           | same as                 |
|-------------------|-------------------------------------------------|-----------------|-------------------------|
| inception         | bilinear of TensorFlow 1, no antialias          | (x - 128) / 128 | torch-fidelity, TTUR    |
| inception-pytorch | bilinear of PyTorch (half-pixel), no antialias  | 2 x / 255 - 1   | pytorch-fid             |
| inception-clean   | bicubic, antialiased, clipped to 0..255         | (x - 128) / 128 | clean-fid               |

The features are the 2048 of the last pool; the logits are the 1008 without bias that the Inception Score uses.
Both come from one pass. spatial-inception has features of a middle layer, resized as for `inception`, and no logits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
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
SPATIAL = (*TRUNK[: TRUNK.index("Mixed_6d")], "Mixed_6d.branch1x1")
"""The layers up to what the TensorFlow graph calls mixed_6/conv: its blocks are mixed to mixed_10, from Mixed_5b on."""
CHANNELS = 7
"""Of those 192, at 17 x 17 places: 2023 features, about as many as FID has."""


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

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor | None]:
        # The mean is not in the precision of autocast: rounding that costs more digits than it saves time.
        pooled = self._through(TRUNK, inputs, lambda x: x.float().mean((2, 3)))
        with torch.autocast(inputs.device.type, enabled=False):
            return pooled, pooled @ self.net.fc.weight.T

    def _through(self, layers: Sequence[str], inputs: Tensor, features: Callable[[Tensor], Tensor]) -> Tensor:
        """The features of what the last of the layers gives, which run in the precision of autocast."""
        kind = inputs.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else inputs.dtype
        rows = []
        # On a CPU larger batches are no faster, and their activations take 20 MB an image.
        for part in inputs.split(CPU_BATCH) if kind == "cpu" else (inputs,):
            x = part.to(dtype, memory_format=torch.channels_last)
            for name in layers:
                x = self.net.get_submodule(name)(x)
            rows.append(features(x))
        return torch.cat(rows)


class SpatialInception(Inception):
    """Maps float32 (B, 3, 299, 299) in [-1, 1] to the 2023 features of sFID (Nash et al., 2021, arXiv:2103.03841).

    As in guided-diffusion's evaluator: the first 7 channels of mixed_6/conv, place by place.
    """

    def __init__(self, weights_sha256: str, *, verified: bool) -> None:
        super().__init__("tf1", weights_sha256, verified=verified)
        self.name, self.fingerprint = "spatial-inception", f"spatial-{self.fingerprint}"

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor | None]:
        return self._through(SPATIAL, inputs, lambda x: x[:, :CHANNELS].float().permute(0, 2, 3, 1).flatten(1)), None


def load(variant: str | None, weights: Path | None) -> Inception:
    """Inception with the published weights, or with those of a file.

    Raises UnobtainableError where the published ones can't be had, GanevalError for a file that does not fit.
    """
    published = KNOWN["inception"]
    path, digest = choose(published, weights)
    state, verified = load_checkpoint(path), published.matches(digest)
    made = SpatialInception if variant == "spatial" else partial(Inception, variant or "tf1")
    extractor = made(digest, verified=verified)
    into(extractor.net, state, path)
    fold(extractor.net.eval())
    return extractor.eval()
