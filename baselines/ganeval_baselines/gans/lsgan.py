"""The least-squares GAN."""

from ganeval_baselines import losses
from ganeval_baselines.base import GAN


class LSGAN(GAN):
    """Least squares GAN (Mao et al., 2017, arXiv:1611.04076, eq. 9): a, b, c = 0, 1, 1 on raw outputs, no sigmoid.

    Differs from the paper: the suite's networks instead of its 112 x 112 one.
    """

    pair = losses.LEAST_SQUARES
