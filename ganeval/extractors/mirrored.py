"""The features that images would have if they were mirrored."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ganeval.extractors import module_of
from ganeval.types import Extractor


class Mirrored:
    """An extractor that sees each image mirrored left to right, as training with random flips shows it."""

    def __init__(self, net: Extractor) -> None:
        self.net, self.module = net, module_of(net)
        self.name, self.fingerprint = f"{net.name}, mirrored", f"{net.fingerprint}/mirrored"
        self.verified, self.weights_sha256 = net.verified, net.weights_sha256

    def resize(self, images: Tensor) -> Tensor:
        return self.net.resize(images.flip(3))

    def __call__(self, inputs: Tensor) -> tuple[Tensor, Tensor | None]:
        return self.net(inputs)

    def to(self, device: Any) -> Mirrored:
        self.net = self.net.to(device)
        return self
