"""The non-saturating GAN."""

from ganeval_baselines import losses
from ganeval_baselines.base import GAN


class NSGAN(GAN):
    """The GAN whose generator maximises E log D(G(z)) (Goodfellow et al., 2014, arXiv:1406.2661, section 3).

    Differs from the paper: Adam instead of momentum, convolutions with batch normalisation instead of maxout.
    """

    pair = losses.NON_SATURATING
