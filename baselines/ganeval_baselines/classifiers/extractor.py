"""Trained classifiers as extractors: `--extractor classifier:lenet --weights runs/mnist/lenet-seed0/checkpoint.pt`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ganeval.errors import GanevalError, UnobtainableError
from ganeval.extractors.classifier import LUMA
from ganeval.extractors.state_dicts import into
from ganeval.files import sha256_file
from ganeval.registry import get_baseline
from ganeval_baselines.checkpoint import read
from ganeval_baselines.classifiers.base import Classifier


class TrainedClassifier(nn.Module):
    """A classifier's features (B, D), the layer before its last, and its logits (B, classes).

    `resize` makes images grey by luma where the classifier was trained on grey ones, and of its size by antialiased
    bilinear. No weights are published, so it is never verified.
    """

    verified = False

    def __init__(self, name: str, network: Classifier, sha256: str) -> None:
        super().__init__()
        self.name = f"classifier:{name}"
        self.network = network
        self.grey, self.side = network.shape[0] == 1, network.shape[-1]
        self.weights_sha256: str | None = sha256
        colour = "luma" if self.grey else "rgb"
        self.fingerprint = f"trained-{name}/{sha256[:8]}/{colour}-bilinear{self.side}/v1"

    def resize(self, images: Tensor) -> Tensor:
        x = images.float() / 255
        if self.grey:
            x = (x * torch.tensor(LUMA, device=x.device).view(1, 3, 1, 1)).sum(1, keepdim=True)
        if x.shape[2:] != (self.side, self.side):
            x = interpolate(x, (self.side, self.side), mode="bilinear", align_corners=False, antialias=True)
        return x * 2 - 1

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        pooled = self.network.features(inputs)
        return pooled, self.network.classify(pooled)


def load(variant: str | None, weights: Path | None) -> TrainedClassifier:
    """The classifier in a checkpoint of `ganeval train`; its moving average where it kept one.

    Raises UnobtainableError without `weights`, GanevalError for a file that is no such checkpoint.
    """
    name = variant or ""
    if weights is None:
        raise UnobtainableError(
            f"classifier:{name} has no published weights; train it by `ganeval train {name} --data mnist` "
            f"and give --weights runs/mnist/{name}-seed0/checkpoint.pt, or take classifier:mnist, which is embedded"
        )
    content = _checkpoint(weights)
    config = content["config"]
    if config["model"] != name:
        raise GanevalError(f"{weights} is a checkpoint of {config['model']}, not of {name}; take that model's")
    state = content["average"] or content["model"]
    kind: Any = get_baseline(name).fn
    settings = dataclasses.replace(kind.recipe, **{key: config[key] for key in vars(kind.recipe) if key in config})
    *shape, classes = state["geometry"].tolist()
    network = kind(SimpleNamespace(shape=tuple(shape), classes=classes), settings)
    into(network, state, weights)
    return TrainedClassifier(name, network, sha256_file(weights)).requires_grad_(False).eval()


def _checkpoint(path: Path) -> dict[str, Any]:
    try:
        content = read(path, torch.device("cpu"))
    except OSError as error:
        raise GanevalError(f"there is no weights file {path} that can be read ({error.strerror})") from None
    if not {"config", "model", "average"} <= content.keys():
        raise GanevalError(f"{path} is no checkpoint of `ganeval train`; give the checkpoint.pt of a classifier's run")
    return content
