"""The auxiliary classifier GAN."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ganeval_baselines.base import GAN, GANRecipe, Terms
from ganeval_baselines.data import Batch
from ganeval_baselines.nets import Discriminator


@dataclass(frozen=True)
class ACGANRecipe(GANRecipe):
    """class_weight: of the classification terms beside the adversarial one."""

    class_weight: float = 1.0


class ACGAN(GAN):
    """Auxiliary classifier GAN (Odena et al., 2017, arXiv:1610.09585, eq. 2 and 3).

    Both players minimise the cross-entropy of the class, of real and of generated images, on a head beside the
    discriminator's: from logits, with one softmax.
    Differs from the paper: the non-saturating loss; the suite's networks, without dropout or input noise.
    """

    recipe = ACGANRecipe()
    conditional = True
    settings: ACGANRecipe

    def build_discriminator(self) -> nn.Module:
        return Discriminator(self.shape, self.settings.width, self.norm, outputs=1 + self.classes)

    def discriminator_loss(self, batch: Batch) -> Terms:
        with torch.no_grad():
            fake = self.sample(len(batch.real), batch.labels)
        real_out, fake_out = self.discriminator(batch.real), self.discriminator(fake)
        return {
            "adversarial": self.pair.discriminator(real_out[:, 0], fake_out[:, 0]),
            "class": self.class_loss(real_out, batch.labels) + self.class_loss(fake_out, batch.labels),
        }

    def generator_loss(self, batch: Batch) -> Terms:
        outputs = self.discriminator(self.sample(len(batch.real), batch.labels))
        return {"adversarial": self.pair.generator(outputs[:, 0]), "class": self.class_loss(outputs, batch.labels)}

    def class_loss(self, outputs: Tensor, labels: Tensor | None) -> Tensor:
        assert labels is not None
        return self.settings.class_weight * cross_entropy(outputs[:, 1:], labels)
