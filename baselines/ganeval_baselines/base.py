"""What a reference model is: its recipe, its players, and their losses. The harness in train.py owns all else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from ganeval_baselines import losses
from ganeval_baselines.data import Batch, TrainingSet
from ganeval_baselines.nets import Discriminator, Generator

Terms = dict[str, Tensor]
"""The named terms of one loss; the harness minimises their sum."""


@dataclass(frozen=True)
class Recipe:
    """The settings of a run that `--set key=value` changes. A model with settings of its own extends it.

    A field's metadata may say its `least` value (else 1 for whole numbers, 0 for others) and what it must be `below`.

    learning_rate: of every player; generator_learning_rate: of the generator where it differs.
    decay: "linear" brings the rates to 0 at the last step. ema: decay of the moving average that is sampled; 0 is off.
    """

    batch_size: int = 64
    optimiser: Literal["adam", "rmsprop", "sgd"] = "adam"
    learning_rate: float = 2e-4
    generator_learning_rate: float | None = None
    beta1: float = field(default=0.5, metadata={"below": 1})
    beta2: float = field(default=0.999, metadata={"below": 1})
    decay: Literal["none", "linear"] = "none"
    ema: float = field(default=0.0, metadata={"below": 1})


@dataclass(frozen=True)
class GANRecipe(Recipe):
    """critic_steps: discriminator steps for each of the generator's. width: channels of the narrowest convolution."""

    critic_steps: int = 1
    latent_dim: int = 64
    width: int = 32


def points(**changes: Any) -> Mapping[str, Any]:
    """The settings of every GAN on 2-D mixtures, where networks are small and steps are cheap, and a model's own."""
    return {"batch_size": 128, "learning_rate": 1e-3, "decay": "linear", "latent_dim": 16, **changes}


class Model(nn.Module):
    """A network and how its players learn.

    recipe: the settings as they come; on_points: those that are otherwise on 2-D mixtures.
    players: who moves, in order; the first moves at every step.
    """

    recipe: ClassVar[Recipe] = Recipe()
    on_points: ClassVar[Mapping[str, Any]] = {}
    players: ClassVar[tuple[str, ...]]

    def __init__(self, data: TrainingSet, settings: Recipe) -> None:
        """Builds the networks for the data's shape. A subclass reads the training data alone, never a test split."""
        super().__init__()
        self.shape, self.classes = data.shape, data.classes
        self.settings = settings
        self.optimisers: dict[str, torch.optim.Optimizer] = {}
        """Each player's optimiser, set by the harness, for models that look into it."""

    @classmethod
    def refuses(cls, data: TrainingSet) -> str:
        """Why it can't be trained on this data, which is known before anything runs, or nothing."""
        return ""

    def weights(self, player: str) -> list[nn.Parameter]:
        """The parameters that a player's optimiser moves."""
        raise NotImplementedError

    def loss(self, player: str, batch: Batch) -> Terms:
        """The named terms whose sum the player minimises."""
        raise NotImplementedError

    def due(self, player: str, waited: int, turns: int) -> bool:
        """Whether a later player moves, `waited` steps of the first after its own last move, for turn `turns`."""
        return True

    def after(self, player: str) -> None:
        """What happens once a player has moved, such as clipping."""

    def measures(self) -> dict[str, float]:
        """Numbers of the trained model's own, for its record; evaluate.OWN has their titles."""
        return {}


class GAN(Model):
    """A generator and a discriminator under one of the pairs of losses.py: by default the non-saturating one.

    A model states what differs: the pair, the recipe, the networks, or the losses.
    norm: batch normalisation in the discriminator, which a gradient penalty forbids (Gulrajani et al., 2017).
    conditional: it makes samples of the classes that it is asked for.
    """

    recipe: ClassVar[GANRecipe] = GANRecipe()
    on_points: ClassVar[Mapping[str, Any]] = points()
    players = ("discriminator", "generator")
    pair: ClassVar[losses.Pair] = losses.NON_SATURATING
    norm: ClassVar[bool] = True
    conditional: ClassVar[bool] = False
    settings: GANRecipe
    generator: Any
    discriminator: Any

    def __init__(self, data: TrainingSet, settings: GANRecipe) -> None:
        super().__init__(data, settings)
        self.generator, self.discriminator = self.build_generator(), self.build_discriminator()

    def build_generator(self) -> nn.Module:
        settings = self.settings
        return Generator(self.shape, settings.latent_dim, settings.width, self.classes if self.conditional else 0)

    def build_discriminator(self) -> nn.Module:
        classes = self.classes if self.conditional else 0
        return Discriminator(self.shape, self.settings.width, self.norm, classes=classes)

    def weights(self, player: str) -> list[nn.Parameter]:
        return list(getattr(self, player).parameters())

    def latents(self, n: int) -> Tensor:
        """n latent vectors, standard normal, from torch's global generator, which the harness seeds at each step."""
        return torch.randn(n, self.settings.latent_dim, device=self.device)

    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        """n samples (n, *shape), of the classes `labels` where the model is conditional."""
        return self.generator(self.latents(n), labels) if self.conditional else self.generator(self.latents(n))

    def scores(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """The discriminator's logits (B,)."""
        return self.discriminator(x, labels) if self.conditional else self.discriminator(x)

    def loss(self, player: str, batch: Batch) -> Terms:
        return self.discriminator_loss(batch) if player == "discriminator" else self.generator_loss(batch)

    def discriminator_loss(self, batch: Batch) -> Terms:
        with torch.no_grad():
            fake = self.sample(len(batch.real), batch.labels)
        real = self.scores(batch.real, batch.labels)
        return {
            "adversarial": self.pair.discriminator(real, self.scores(fake, batch.labels)),
            **self.penalty(batch, fake),
        }

    def generator_loss(self, batch: Batch) -> Terms:
        fake = self.sample(len(batch.real), batch.labels)
        return {"adversarial": self.pair.generator(self.scores(fake, batch.labels))}

    def penalty(self, batch: Batch, fake: Tensor) -> Terms:
        """Further terms of the discriminator's loss, on the same fakes."""
        return {}

    def due(self, player: str, waited: int, turns: int) -> bool:
        return waited >= self.settings.critic_steps

    @property
    def device(self) -> torch.device:
        return next(self.generator.parameters()).device
