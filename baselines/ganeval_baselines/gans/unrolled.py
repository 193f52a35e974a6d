"""The unrolled GAN."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from ganeval.errors import GanevalError
from ganeval_baselines.base import GAN, GANRecipe, Terms, points
from ganeval_baselines.data import Batch, TrainingSet


@dataclass(frozen=True)
class UnrolledRecipe(GANRecipe):
    """unrolled_steps: k, the discriminator steps that the generator looks ahead."""

    unrolled_steps: int = field(default=5, metadata={"least": 0})


class Unrolled(GAN):
    """Unrolled GAN (Metz et al., 2017, arXiv:1611.02163, eq. 7 to 9).

    The generator maximises the discriminator's loss, real term and all, at the weights that k Adam steps from here
    would reach, and its gradient passes through those steps. The discriminator itself takes one real step.
    Rates on 2-D mixtures are the authors' (1e-4 for the discriminator, 1e-3 for the generator).
    Differs from the paper: the suite's networks, without batch normalisation in the discriminator.
    """

    recipe = UnrolledRecipe()
    on_points = points(learning_rate=1e-4, generator_learning_rate=1e-3)
    norm = False
    settings: UnrolledRecipe

    def __init__(self, data: TrainingSet, settings: UnrolledRecipe) -> None:
        super().__init__(data, settings)
        if settings.optimiser != "adam":
            raise GanevalError(f"unrolled looks ahead through Adam alone, and optimiser is {settings.optimiser}")

    def generator_loss(self, batch: Batch) -> Terms:
        fake = self.sample(len(batch.real))
        ahead = self.unrolled(batch.real, fake)
        # The real term has a gradient too: the weights ahead depend on the fakes.
        real_ahead, fake_ahead = (functional_call(self.discriminator, ahead, (x,)) for x in (batch.real, fake))
        return {"adversarial": -self.pair.discriminator(real_ahead, fake_ahead)}

    def unrolled(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """The discriminator's weights after k differentiable steps of its own Adam, from its present state."""
        optimiser = self.optimisers["discriminator"]
        weights = dict(self.discriminator.named_parameters())
        group = optimiser.param_groups[0]
        state = {name: _moments(optimiser, weight) for name, weight in weights.items()}
        for _ in range(self.settings.unrolled_steps):
            outputs = [functional_call(self.discriminator, weights, (x,)) for x in (real, fake)]
            loss = self.pair.discriminator(outputs[0], outputs[1])
            slopes = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
            for (name, weight), slope in zip(list(weights.items()), slopes, strict=True):
                weights[name], state[name] = _adam(weight, slope, *state[name], group)
        return weights


def _moments(optimiser: torch.optim.Optimizer, weight: Tensor) -> tuple[int, Tensor, Tensor]:
    """Adam's step number and moments of a weight; zeros before its first step."""
    state = optimiser.state.get(weight, {})
    if not state:
        return 0, torch.zeros_like(weight), torch.zeros_like(weight)
    return int(state["step"]), state["exp_avg"], state["exp_avg_sq"]


def _adam(
    weight: Tensor, slope: Tensor, step: int, first: Tensor, second: Tensor, group: dict[str, Any]
) -> tuple[Tensor, tuple[int, Tensor, Tensor]]:
    """One step of Adam (Kingma and Ba, 2015, Algorithm 1) as a function, so that gradients pass through it."""
    beta1, beta2 = group["betas"]
    step += 1
    first = beta1 * first + (1 - beta1) * slope
    second = beta2 * second + (1 - beta2) * slope.square()
    # The root has no slope at 0, where a gradient that is exactly 0 would turn into NaN.
    root = (second.clamp(min=1e-38) / (1 - beta2**step)).sqrt()
    return weight - group["lr"] / (1 - beta1**step) * first / (root + group["eps"]), (step, first, second)
