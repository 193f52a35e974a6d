"""The energy-based GAN."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganeval_baselines.base import GAN, GANRecipe, Terms
from ganeval_baselines.data import Batch
from ganeval_baselines.losses import pull_away
from ganeval_baselines.nets import Discriminator, Generator


@dataclass(frozen=True)
class EBGANRecipe(GANRecipe):
    """margin: m of the hinge, on the scale of the mean squared error. code_dim: of the autoencoder's bottleneck."""

    margin: float = 0.3
    pull_away_weight: float = 0.1
    code_dim: int = 32


class AutoEncoder(nn.Module):
    """The suite's discriminator trunk to a code, and its generator back to the data."""

    def __init__(self, shape: tuple[int, ...], width: int, norm: bool, code_dim: int) -> None:
        super().__init__()
        self.encoder = Discriminator(shape, width, norm, outputs=code_dim)
        self.decoder = Generator(shape, code_dim, width)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The energy of each sample, its mean squared error (B,), and its code (B, code_dim)."""
        code = self.encoder.head(self.encoder.trunk(x))
        return (self.decoder(code) - x).square().flatten(1).mean(1), code


class EBGAN(GAN):
    """Energy-based GAN with the pulling-away term (Zhao et al., 2017, arXiv:1609.03126, eq. 1, 2, 5): EBGAN-PT.

    D: E(x) + max(0, m - E(G(z))); G: E(G(z)) + 0.1 mean cos^2 of the codes of different samples. E is the
    reconstruction's mean squared error, and gradients pass through both of its sides.
    Not for 2-D mixtures: an autoencoder of points either copies them all or keeps a curve.
    Differs from the paper: the suite's networks; E is the mean of squares, not the norm; a margin of 0.3, about ten
    times the energy of real digits in [-1, 1]; no batch normalisation in the encoder, which could tell a whole batch
    of fakes by its statistics (with it, or with a margin of 1, the generator of digits never leaves noise: a distance
    of 60 where these settings reach 2 to 4, and at some seeds fall apart late, to 30). Margin and normalisation were
    chosen on digits.
    """

    recipe = EBGANRecipe()
    norm = False
    settings: EBGANRecipe

    def build_discriminator(self) -> nn.Module:
        return AutoEncoder(self.shape, self.settings.width, self.norm, self.settings.code_dim)

    def discriminator_loss(self, batch: Batch) -> Terms:
        with torch.no_grad():
            fake = self.sample(len(batch.real))
        real_energy, _ = self.discriminator(batch.real)
        fake_energy, _ = self.discriminator(fake)
        return {"real": real_energy.mean(), "margin": (self.settings.margin - fake_energy).clamp(min=0).mean()}

    def generator_loss(self, batch: Batch) -> Terms:
        energy, code = self.discriminator(self.sample(len(batch.real)))
        return {"energy": energy.mean(), "pull_away": self.settings.pull_away_weight * pull_away(code)}
