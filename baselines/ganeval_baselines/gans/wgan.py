"""The Wasserstein GAN with weight clipping."""

from dataclasses import dataclass, field

import torch

from ganeval_baselines import losses
from ganeval_baselines.base import GAN, GANRecipe, points


@dataclass(frozen=True)
class WGANRecipe(GANRecipe):
    """clip: the bound of every critic weight. warm_up: critic steps before each of the first 25 generator steps, and
    never fewer than critic_steps: 0 is no warm-up."""

    clip: float = 0.01
    warm_up: int = field(default=100, metadata={"least": 0})


class WGAN(GAN):
    """Wasserstein GAN (Arjovsky et al., 2017, arXiv:1701.07875, Algorithm 1).

    The authors' code trains the critic 100 times for each of the first 25 generator steps and for every 500th.
    Weights are clipped after each critic step, as in the algorithm; the authors' code clips before each.
    Batch normalisation in the critic as in the authors' DCGAN.
    Differs from the paper: the suite's networks. On 2-D mixtures clip is 0.1 and the rate 5e-4, for a critic of three
    thin layers clipped at 0.01 is flat; the five critic steps and the warm-up stay, unlike WGAN-GP's, so that the
    generator makes a fifth of the steps there.
    """

    recipe = WGANRecipe(optimiser="rmsprop", learning_rate=5e-5, critic_steps=5)
    on_points = points(learning_rate=5e-4, clip=0.1)
    pair = losses.WASSERSTEIN
    settings: WGANRecipe

    @torch.no_grad()
    def after(self, player: str) -> None:
        if player == "discriminator":
            for weight in self.discriminator.parameters():
                weight.clamp_(-self.settings.clip, self.settings.clip)

    def due(self, player: str, waited: int, turns: int) -> bool:
        steps = self.settings.critic_steps
        warming = turns < 25 or turns % 500 == 0
        return waited >= (max(self.settings.warm_up, steps) if warming else steps)
