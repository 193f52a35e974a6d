"""What a reference classifier is: a model with one player, and the layer before its last as features."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from ganeval.errors import GanevalError
from ganeval_baselines.base import Model, Recipe, Terms
from ganeval_baselines.data import Batch, Images, TrainingSet, pixels_of
from ganeval_baselines.multi_mnist import MultiMNIST
from ganeval_baselines.shifts import shifted

SIDES = (28, 32, 36)
CHUNK = 100
"""Images that are classified at a time."""


@dataclass(frozen=True)
class ClassifierRecipe(Recipe):
    """shift: each training image moves by its own draw of up to so many pixels, down and across."""

    learning_rate: float = 1e-3
    beta1: float = 0.9
    decay: Literal["none", "linear"] = "linear"
    shift: int = field(default=2, metadata={"least": 0})


class Classifier(Model):
    """A trunk, whose output is the features, and a linear head, under the cross-entropy of its logits.

    A model states what differs: the trunk by `build_trunk`, or the recipe, or the loss. Where images have several
    labels (MultiMNIST) each logit is a yes or no of its own: the binary cross-entropy, summed over the classes.
    """

    recipe: ClassVar[ClassifierRecipe] = ClassifierRecipe()
    players = ("classifier",)
    settings: ClassifierRecipe
    geometry: Tensor

    @classmethod
    def refuses(cls, data: TrainingSet) -> str:
        if data.shape[1:] in [(side, side) for side in SIDES]:
            return ""
        return (
            f"the classifiers train on images of 28x28, 32x32 and 36x36, not {'x'.join(map(str, data.shape[1:]))}; "
            "--image-size 32 resizes a folder's images"
        )

    def __init__(self, data: TrainingSet, settings: ClassifierRecipe) -> None:
        super().__init__(data, settings)
        # So that a checkpoint says what images it is for.
        self.register_buffer("geometry", torch.tensor([*self.shape, self.classes]))
        self.build()

    def build(self) -> None:
        self.trunk = self.build_trunk()
        self.head = nn.Linear(outputs(self.trunk, self.shape), self.classes)

    def build_trunk(self) -> nn.Sequential:
        """Maps images (B, *shape) in [-1, 1] to features (B, D)."""
        raise NotImplementedError

    def features(self, x: Tensor) -> Tensor:
        """The layer before the last (B, D) of images x (B, *shape) in [-1, 1]."""
        return self.trunk(x)

    def classify(self, features: Tensor) -> Tensor:
        """Logits (B, classes) of features (B, D)."""
        return self.head(features)

    def logits(self, x: Tensor) -> Tensor:
        """Logits (B, classes) of images x (B, *shape) in [-1, 1]."""
        return self.classify(self.features(x))

    def weights(self, player: str) -> list[nn.Parameter]:
        return list(self.parameters())

    def loss(self, player: str, batch: Batch) -> Terms:
        if batch.labels is None:
            raise ValueError("a classifier learns from labels, and the batch has none")
        return self.terms(shifted(batch.real, self.settings.shift), batch.labels)

    def terms(self, x: Tensor, labels: Tensor) -> Terms:
        """The loss of images x (B, *shape) with labels (B,), or (B, K) of K classes each."""
        logits = self.logits(x)
        if labels.ndim == 1:
            return {"cross_entropy": cross_entropy(logits, labels)}
        hot = multi_hot(labels, self.classes)
        return {"cross_entropy": binary_cross_entropy_with_logits(logits, hot, reduction="sum") / len(x)}

    @torch.no_grad()
    def errors(self, images: Tensor, labels: Tensor) -> float:
        """The test error in [0, 1], lower is better, of images (N, *shape) in [-1, 1], in evaluation mode.

        With labels (N, K) an image is right where its K most active classes are its labels, in any order.
        """
        was = self.training
        self.eval()
        wrong = 0
        for x, y in zip(images.split(CHUNK), labels.view(len(labels), -1).split(CHUNK), strict=True):
            found = self.logits(x.to(self.geometry.device)).topk(y.shape[1]).indices.cpu()
            wrong += int((found.sort(1).values != y.sort(1).values).any(1).sum())
        self.train(was)
        return wrong / len(images)


def multi_hot(labels: Tensor, classes: int) -> Tensor:
    """Labels (B,) or (B, K) as float32 (B, classes), 1 at each label."""
    return torch.zeros(len(labels), classes, device=labels.device).scatter_(1, labels.view(len(labels), -1), 1.0)


def outputs(trunk: nn.Module, shape: tuple[int, ...]) -> int:
    """The number of features that a trunk makes of an image."""
    trunk.eval()
    with torch.no_grad():
        n = trunk(torch.zeros(1, *shape)).shape[1]
    trunk.train()
    return n


def he_initialise(module: nn.Module) -> None:
    """A layer's weights from N(0, 2 / fan-in), biases 0 (He et al., 2015, arXiv:1502.01852), for rectifiers."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def held_out(data: Images) -> Batch:
    """The images that the data set holds out (N, *shape) in [-1, 1], with their labels.

    Raises GanevalError for Stacked MNIST, whose held-out images are single digits.
    """
    if isinstance(data, MultiMNIST):
        return data.test_pairs()
    if data.stacked > 1:
        raise GanevalError(f"{data.name} holds out single digits; train a classifier on mnist")
    pixels = pixels_of(data.held_out).expand(-1, data.shape[0], -1, -1)
    return Batch(pixels.float() / 127.5 - 1, data.held_out.labels)
