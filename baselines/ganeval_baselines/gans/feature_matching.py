"""Feature matching, of the improved techniques."""

from ganeval_baselines.base import GAN, Terms
from ganeval_baselines.data import Batch
from ganeval_baselines.losses import matching


class FeatureMatching(GAN):
    """Feature matching (Salimans et al., 2016, arXiv:1606.03498, section 3.1).

    The generator minimises || E f(x) - E f(G(z)) ||^2, f the discriminator's features before its last layer, as the
    mean over features instead of the sum, so that the scale does not grow with the network.
    Differs from the paper: unsupervised, on the suite's networks.
    """

    def generator_loss(self, batch: Batch) -> Terms:
        return {"matching": matching(self.discriminator.trunk, batch.real, self.sample(len(batch.real)))}
