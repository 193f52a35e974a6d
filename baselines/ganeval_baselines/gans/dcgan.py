"""The deep convolutional GAN."""

from torch import nn

from ganeval_baselines.base import GAN, GANRecipe
from ganeval_baselines.nets import Discriminator, Generator, initialise


class DCGAN(GAN):
    """DCGAN (Radford et al., 2016, arXiv:1511.06434): the non-saturating loss on networks without hidden dense layers.

    Weights from N(0, 0.02), batch normalisation but for the generator's output and the discriminator's input,
    latent dimension 100, Adam at 2e-4 with beta1 0.5.
    Differs from the paper: batches of 64, not 128, and a width of 32; images of 28x28 or 32x32 have one stage fewer
    than 64x64; at 8x8, where two halvings leave nothing to convolve, the networks are the suite's perceptrons;
    latents are normal, not uniform.
    """

    recipe = GANRecipe(latent_dim=100)

    def build_generator(self) -> nn.Module:
        network = Generator(self.shape, self.settings.latent_dim, self.settings.width, dense=False)
        initialise(network)
        return network

    def build_discriminator(self) -> nn.Module:
        network = Discriminator(self.shape, self.settings.width, self.norm, dense=False)
        initialise(network)
        return network
