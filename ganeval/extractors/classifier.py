"""Small embedded classifiers: features for digits and MNIST, which Inception was never made for.

| name  | images | features | test accuracy | weights                          |
|-------|--------|----------|---------------|----------------------------------|
| digits| 8x8    | 32       | 99.2% of 597  | weights/digits.pt                |
| mnist | 28x28  | 64       | 99.6% of 10k  | weights/mnist.pt                 |

Trained on the train splits alone by baselines/train_embedded_classifiers.py, which prints the accuracies.
The seed of the fits is 0; the images are made grey by luma and resized by antialiased bilinear.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ganeval.errors import unknown
from ganeval.files import sha256_file
from ganeval.registry import EXTRACTORS
from ganeval.weights import into, load_checkpoint

SIZES = {"digits": 8, "mnist": 28}
FEATURES = {"digits": 32, "mnist": 64}
WEIGHTS = Path(__file__).parent / "weights"
LUMA = (0.299, 0.587, 0.114)


class Classifier(nn.Module):
    """Two or four 3x3 convolutions and one hidden layer, whose activations after ReLU are the features.

    On real digits 5 of the 32 features are always 0, on real MNIST 18 of the 64; other images may move them.

    Maps grey float32 (B, 1, size, size) in [0, 1] to pooled (B, D) and logits (B, 10).
    """

    verified = True

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = f"classifier:{name}"
        self.size = SIZES[name]
        wide = self.size > 8
        self.trunk = nn.Sequential(
            *_block(1, 16), *(_block(16, 16) if wide else []), nn.MaxPool2d(2),
            *_block(16, 32), *(_block(32, 32) if wide else []), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(32 * (self.size // 4) ** 2, FEATURES[name]), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(FEATURES[name], 10)
        self.weights_sha256: str | None = None
        self.fingerprint = ""

    def resize(self, images: Tensor) -> Tensor:
        luma = torch.tensor(LUMA, device=images.device).view(1, 3, 1, 1)
        grey = (images.float() * luma).sum(1, keepdim=True) / 255
        if grey.shape[2:] == (self.size, self.size):
            return grey
        return interpolate(grey, (self.size, self.size), mode="bilinear", align_corners=False, antialias=True)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        pooled = self.trunk(inputs)
        return pooled, self.head(pooled)


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
    network.fingerprint = f"classifier-{name}/{network.weights_sha256[:8]}/luma-bilinear{network.size}/v1"
    return network.eval()
