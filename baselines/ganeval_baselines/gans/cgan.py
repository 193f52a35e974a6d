"""The conditional GAN."""

from ganeval_baselines.base import GAN


class CGAN(GAN):
    """Conditional GAN (Mirza and Osindero, 2014, arXiv:1411.1784, eq. 2): both players see the class.

    The label is one-hot beside the latent vector, and constant planes beside the image.
    Differs from the paper: the non-saturating loss, Adam, and convolutions instead of maxout.
    """

    conditional = True
