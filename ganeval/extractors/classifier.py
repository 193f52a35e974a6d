"""Small embedded classifiers: features for digits and MNIST, which Inception was never made for, and for CIFAR-10.

| name    | images      | features | test accuracy | weights            |
|---------|-------------|----------|---------------|--------------------|
| digits  | 8x8, grey   | 32       | 99.2% of 597  | weights/digits.pt  |
| mnist   | 28x28, grey | 64       | 99.6% of 10k  | weights/mnist.pt   |
| cifar10 | 32x32, RGB  | 96       | 80.4% of 10k  | weights/cifar10.pt |

Trained on the train splits alone by baselines/train_embedded_classifiers.py, which prints the accuracies.
The seed of the fits is 0; grey images are made by luma, and all are resized by antialiased bilinear.
CIFAR-10 was trained and tested on images re-encoded as JPEG. It serves tests without a download, such as that of mode
collapse; published numbers on CIFAR-10 use Inception, which stays what CIFAR-10 is scored with.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ganeval.errors import unknown
from ganeval.extractors.state_dicts import into, load_checkpoint
from ganeval.files import sha256_file
from ganeval.registry import EXTRACTORS

SIZES = {"digits": 8, "mnist": 28, "cifar10": 32}
FEATURES = {"digits": 32, "mnist": 64, "cifar10": 96}
COLOUR = ("cifar10",)
WEIGHTS = Path(__file__).parent / "weights"
LUMA = (0.299, 0.587, 0.114)


class Classifier(nn.Module):
    """A few 3x3 convolutions and one layer of features, whose activations after ReLU are what is compared.

    Of grey images a hidden layer: on real digits 5 of the 32 features are always 0, on real MNIST 18 of the 64; other
    images may move them. Of CIFAR-10 the last convolution's means over the image.

    Maps float32 (B, 1 or 3, size, size) in [0, 1] to pooled (B, D) and logits (B, 10).
    """

    verified = True

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = f"classifier:{name}"
        self.size = SIZES[name]
        self.colour = name in COLOUR
        self.trunk = _colour_trunk(FEATURES[name]) if self.colour else _grey_trunk(self.size, FEATURES[name])
        self.head = nn.Linear(FEATURES[name], 10)
        self.weights_sha256: str | None = None
        self.fingerprint = ""

    def resize(self, images: Tensor) -> Tensor:
        luma = torch.tensor(LUMA, device=images.device).view(1, 3, 1, 1)
        x = images.float() / 255 if self.colour else (images.float() * luma).sum(1, keepdim=True) / 255
        if x.shape[2:] == (self.size, self.size):
            return x
        return interpolate(x, (self.size, self.size), mode="bilinear", align_corners=False, antialias=True)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        pooled = self.trunk(inputs)
        return pooled, self.head(pooled)


def _grey_trunk(size: int, features: int) -> nn.Sequential:
    wide = size > 8
    return nn.Sequential(
        *_block(1, 16), *(_block(16, 16) if wide else []), nn.MaxPool2d(2),
        *_block(16, 32), *(_block(32, 32) if wide else []), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * (size // 4) ** 2, features), nn.ReLU(),
    )  # fmt: skip


def _colour_trunk(features: int) -> nn.Sequential:
    return nn.Sequential(
        *_block(3, 24), nn.MaxPool2d(2), *_block(24, 48), *_block(48, 48), nn.MaxPool2d(2),
        *_block(48, features), *_block(features, features), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip


def _block(n_in: int, n_out: int) -> list[nn.Module]:
    return [nn.Conv2d(n_in, n_out, 3, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU()]


def load(variant: str | None, weights: Path | None) -> Classifier:
    """The classifier for a data set; `weights` replaces the embedded ones."""
    name = variant or ""
    if name not in SIZES:
        known = [row.partition(":")[2] for row in EXTRACTORS if row.startswith("classifier:")]
        raise unknown("classifier", name, [*SIZES, *known])
    network = Classifier(name)
    path = weights or WEIGHTS / f"{name}.pt"
    into(network, load_checkpoint(path), path)
    network.weights_sha256 = sha256_file(path)
    network.verified = weights is None
    resize = f"{'' if network.colour else 'luma-'}bilinear{network.size}"
    network.fingerprint = f"classifier-{name}/{network.weights_sha256[:8]}/{resize}/v1"
    return network.eval()
