"""Minibatch discrimination, of the improved techniques."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganeval_baselines.base import GAN, GANRecipe, points
from ganeval_baselines.nets import Discriminator


@dataclass(frozen=True)
class MinibatchRecipe(GANRecipe):
    """kernels, kernel_dim: B and C of the tensor T (features, B, C)."""

    kernels: int = 32
    kernel_dim: int = 5


class Minibatch(nn.Module):
    """Puts beside each row how near it is to the others: o_b(x_i) = sum_{j != i} exp(-||M_ib - M_jb||_1), M = x T."""

    def __init__(self, features: int, kernels: int, kernel_dim: int) -> None:
        super().__init__()
        self.kernels = kernels
        self.project = nn.Linear(features, kernels * kernel_dim, bias=False)
        nn.init.normal_(self.project.weight, 0.0, 0.05)
        self.bias = nn.Parameter(torch.zeros(kernels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, features) to (B, features + kernels)."""
        m = self.project(x).view(len(x), self.kernels, -1)
        kernels = m.transpose(0, 1)
        # A row's nearness to itself, exp(0), is not counted.
        near = torch.exp(-torch.cdist(kernels, kernels, p=1)).sum(2).T - 1
        return torch.cat([x, near + self.bias], 1)


class MinibatchDiscrimination(GAN):
    """Minibatch discrimination (Salimans et al., 2016, arXiv:1606.03498, section 3.2).

    Differs from the paper: a row's nearness to itself, the constant 1, is not counted; 32 kernels (16 on points)
    instead of 100, for the sake of a CPU; no data-dependent initialisation; unsupervised, on the suite's networks.
    """

    recipe = MinibatchRecipe()
    on_points = points(kernels=16)
    settings: MinibatchRecipe

    def build_discriminator(self) -> nn.Module:
        network = Discriminator(self.shape, self.settings.width, self.norm)
        layer = Minibatch(network.features, self.settings.kernels, self.settings.kernel_dim)
        network.trunk.append(layer)
        network.head = nn.Linear(network.features + self.settings.kernels, 1)
        return network
