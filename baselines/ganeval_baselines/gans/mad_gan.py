"""MAD-GAN: several generators, and a discriminator that tells which."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ganeval.errors import GanevalError
from ganeval_baselines.base import GAN, GANRecipe, Terms
from ganeval_baselines.data import Batch, TrainingSet
from ganeval_baselines.nets import Discriminator, Generator


@dataclass(frozen=True)
class MADGANRecipe(GANRecipe):
    """generators: K. Each makes a K-th of every batch."""

    generators: int = 4


class Generators(nn.Module):
    """K generators; each maps its part of the latents."""

    def __init__(self, parts: list[nn.Module]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, latents: Tensor) -> Tensor:
        return torch.cat([part(z) for part, z in zip(self.parts, latents.tensor_split(len(self.parts)), strict=True)])


class MADGAN(GAN):
    """Multi-agent diverse GAN (Ghosh et al., 2018, arXiv:1704.02906, eq. 3 and 4).

    The discriminator has K + 1 classes: which generator made a sample, or class K, the data. The generators
    minimise the cross-entropy of being taken for data.
    Differs from the paper: the generators share no layers; their loss is -log D, not log(1 - D); the data weigh as
    much as all generators together, so D of the data is 1/2 at the optimum, not 1/(K + 1).
    """

    recipe = MADGANRecipe()
    settings: MADGANRecipe

    def __init__(self, data: TrainingSet, settings: MADGANRecipe) -> None:
        super().__init__(data, settings)
        if not 2 <= 2 * settings.generators <= settings.batch_size:
            raise GanevalError(
                f"generators is {settings.generators} and batch_size {settings.batch_size}; "
                "each of one or more generators needs 2 or more samples of a batch"
            )

    def build_generator(self) -> nn.Module:
        settings = self.settings
        return Generators(
            [Generator(self.shape, settings.latent_dim, settings.width) for _ in range(settings.generators)]
        )

    def build_discriminator(self) -> nn.Module:
        return Discriminator(self.shape, self.settings.width, self.norm, outputs=self.settings.generators + 1)

    def makers(self, n: int) -> Tensor:
        """Which generator made each of n samples (n,)."""
        parts = torch.arange(n, device=self.device).tensor_split(self.settings.generators)
        return torch.cat([torch.full_like(part, k) for k, part in enumerate(parts)])

    def discriminator_loss(self, batch: Batch) -> Terms:
        n = len(batch.real)
        with torch.no_grad():
            fake = self.sample(n)
        data = torch.full((n,), self.settings.generators, device=self.device)
        return {
            "real": cross_entropy(self.discriminator(batch.real), data),
            "fake": cross_entropy(self.discriminator(fake), self.makers(n)),
        }

    def generator_loss(self, batch: Batch) -> Terms:
        n = len(batch.real)
        data = torch.full((n,), self.settings.generators, device=self.device)
        return {"adversarial": cross_entropy(self.discriminator(self.sample(n)), data)}
