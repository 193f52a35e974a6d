"""The minimax GAN."""

from ganeval_baselines import losses
from ganeval_baselines.base import GAN


class MinimaxGAN(GAN):
    """Generative adversarial networks (Goodfellow et al., 2014, arXiv:1406.2661, Algorithm 1), the true minimax game.

    The generator minimises E log(1 - D(G(z))) itself. What most code calls "gan" is `nsgan`.
    Differs from the paper: Adam instead of momentum, convolutions with batch normalisation instead of maxout.
    """

    pair = losses.MINIMAX
