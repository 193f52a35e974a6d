"""The semi-supervised GAN with K + 1 classes."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, softplus

from ganeval.errors import GanevalError
from ganeval_baselines.base import GAN, GANRecipe, Terms
from ganeval_baselines.data import Batch, Images, TrainingSet
from ganeval_baselines.losses import matching
from ganeval_baselines.nets import Discriminator

CHUNK = 1000
"""Images that are classified at a time."""


@dataclass(frozen=True)
class SSGANRecipe(GANRecipe):
    """labelled: images whose label is used, as many of each class, which may be a few less."""

    labelled: int = 100


class SSGAN(GAN):
    """Semi-supervised GAN (Salimans et al., 2016, arXiv:1606.03498, section 5): K classes and "generated".

    With K logits l and the logit of "generated" fixed at 0, D(x) = Z / (Z + 1), Z = sum exp l: so a supervised
    term, the cross-entropy on the labelled images, and an unsupervised one, with log Z as the logit of "real".
    The generator matches the mean features, as in the paper's runs with the fewest errors; its images are not the best.
    The record has the test error, and the same labelled images are used at every seed.
    Differs from the paper: the suite's networks, without weight normalisation or noise in the discriminator; one step
    of each player; a rate of 1e-3 for 3e-3.
    """

    recipe = SSGANRecipe(learning_rate=1e-3)
    norm = False
    settings: SSGANRecipe
    some: Tensor
    their_labels: Tensor

    @classmethod
    def refuses(cls, data: TrainingSet) -> str:
        if isinstance(data, Images) and data.labels is not None and data.stacked == 1:
            return ""
        return f"ssgan picks labelled images of each class, and {data.name} has none to pick"

    def __init__(self, data: Images, settings: SSGANRecipe) -> None:
        super().__init__(data, settings)
        assert data.labels is not None
        each = settings.labelled // self.classes
        chosen = torch.cat([torch.nonzero(data.labels == k)[:each, 0] for k in range(self.classes)])
        if not each or len(chosen) != each * self.classes:
            raise GanevalError(
                f"ssgan wants {each} labelled images of each of {self.classes} classes; set labelled to "
                f"{self.classes} or more, and no more than the smallest class allows"
            )
        self.register_buffer("some", data.pixels[chosen].float() / 127.5 - 1, persistent=False)
        self.register_buffer("their_labels", data.labels[chosen], persistent=False)

    def build_discriminator(self) -> nn.Module:
        return Discriminator(self.shape, self.settings.width, self.norm, outputs=self.classes)

    def scores(self, x: Tensor, labels: Tensor | None) -> Tensor:
        return self.discriminator(x).logsumexp(1)

    @torch.no_grad()
    def errors(self, images: Tensor, labels: Tensor) -> float:
        """The test error in [0, 1], lower is better, of images (N, *shape) in [-1, 1] and labels (N,): section 5's."""
        was = self.training
        self.eval()
        found = torch.cat([self.discriminator(x.to(self.device)).argmax(1).cpu() for x in images.split(CHUNK)])
        self.train(was)
        return float((found != labels).double().mean())

    def discriminator_loss(self, batch: Batch) -> Terms:
        rows = torch.randint(len(self.some), (len(batch.real),), device=self.device)
        supervised = cross_entropy(self.discriminator(self.some[rows]), self.their_labels[rows])
        with torch.no_grad():
            fake = self.sample(len(batch.real))
        real = self.scores(batch.real, None)
        unsupervised = softplus(-real).mean() + softplus(self.scores(fake, None)).mean()
        return {"supervised": supervised, "unsupervised": 0.5 * unsupervised}

    def generator_loss(self, batch: Batch) -> Terms:
        return {"matching": matching(self.discriminator.trunk, batch.real, self.sample(len(batch.real)))}
