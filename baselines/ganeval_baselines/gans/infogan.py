"""InfoGAN: codes that the samples reveal."""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from ganeval_baselines.base import GAN, GANRecipe, Terms, points
from ganeval_baselines.data import Batch, TrainingSet
from ganeval_baselines.nets import Generator


@dataclass(frozen=True)
class InfoGANRecipe(GANRecipe):
    """codes: values of the categorical code. continuous: number of codes in U[-1, 1]. info_weight: lambda."""

    codes: int = 10
    continuous: int = field(default=2, metadata={"least": 0})
    info_weight: float = 1.0


class InfoGAN(GAN):
    """InfoGAN (Chen et al., 2016, arXiv:1606.03657, eq. 5).

    Both players also maximise L_I(c; Q), a bound on the mutual information I(c; G(z, c)). Q is a head on the
    discriminator's trunk. L_I is H(c) - CE for the categorical code; for the continuous ones Q is a Gaussian of
    fixed deviation, so their term is half the squared error up to a constant, as in the authors' code. The rates
    are theirs: 1e-3 for the generator, 2e-4 for the discriminator.
    `info` in the log is -L_I without the constant H(c); `mutual_information` estimates I(c; x) of the categorical
    code in nats.
    On 2-D mixtures it has one code of 8 values, the ring's number of modes, and the suite's rates.
    Differs from the paper: the discriminator maximises L_I too, as in the authors' code, while eq. 5 leaves that to
    G and Q; Q learns with both players, in the authors' code with the discriminator alone; latents are normal, not
    uniform.
    """

    recipe = InfoGANRecipe(latent_dim=62, generator_learning_rate=1e-3, batch_size=128)
    on_points = points(generator_learning_rate=None, codes=8, continuous=0)
    settings: InfoGANRecipe

    def __init__(self, data: TrainingSet, settings: InfoGANRecipe) -> None:
        super().__init__(data, settings)
        features = self.discriminator.features
        self.recogniser = nn.Sequential(
            nn.Linear(features, 128), nn.BatchNorm1d(128), nn.LeakyReLU(0.1),
            nn.Linear(128, settings.codes + settings.continuous),
        )  # fmt: skip

    def build_generator(self) -> nn.Module:
        inputs = self.settings.latent_dim + self.settings.continuous
        return Generator(self.shape, inputs, self.settings.width, self.settings.codes)

    def weights(self, player: str) -> list[nn.Parameter]:
        return [*super().weights(player), *self.recogniser.parameters()]

    def codes(self, n: int) -> tuple[Tensor, Tensor]:
        """Categorical codes (n,) and continuous ones (n, continuous)."""
        kinds = torch.randint(self.settings.codes, (n,), device=self.device)
        return kinds, torch.rand(n, self.settings.continuous, device=self.device) * 2 - 1

    def from_codes(self, kinds: Tensor, along: Tensor) -> Tensor:
        return self.generator(torch.cat([self.latents(len(kinds)), along], 1), kinds)

    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        return self.from_codes(*self.codes(n))

    def information(self, trunk: Tensor, kinds: Tensor, along: Tensor) -> Tensor:
        """-L_I up to the constant H(c), from the trunk's features of samples made with these codes."""
        guess = self.recogniser(trunk)
        loss = cross_entropy(guess[:, : self.settings.codes], kinds)
        if self.settings.continuous:
            # Half the squared error of all codes of a sample, the fixed-deviation Gaussian's log-likelihood.
            loss = loss + 0.5 * self.settings.continuous * mse_loss(guess[:, self.settings.codes :], along)
        return self.settings.info_weight * loss

    def discriminator_loss(self, batch: Batch) -> Terms:
        kinds, along = self.codes(len(batch.real))
        with torch.no_grad():
            fake = self.from_codes(kinds, along)
        trunk = self.discriminator.trunk(fake)
        logits = self.discriminator.head(trunk).squeeze(1)
        return {
            "adversarial": self.pair.discriminator(self.discriminator(batch.real), logits),
            "info": self.information(trunk, kinds, along),
        }

    def generator_loss(self, batch: Batch) -> Terms:
        kinds, along = self.codes(len(batch.real))
        trunk = self.discriminator.trunk(self.from_codes(kinds, along))
        logits = self.discriminator.head(trunk).squeeze(1)
        return {"adversarial": self.pair.generator(logits), "info": self.information(trunk, kinds, along)}

    def measures(self) -> dict[str, float]:
        return {"mutual_information": self.mutual_information(5000)}

    @torch.no_grad()
    def mutual_information(self, n: int) -> float:
        """The lower bound log K - CE(c, Q(G(z, c))) on the categorical code's information, over n samples, in nats.

        In evaluation mode, on a random stream of its own: a trained model has one value, however it was come by.
        """
        was = self.training
        self.eval()
        torch.manual_seed(n)
        kinds, along = self.codes(n)
        guess = self.recogniser(self.discriminator.trunk(self.from_codes(kinds, along)))
        self.train(was)
        return math.log(self.settings.codes) - float(cross_entropy(guess[:, : self.settings.codes], kinds))
