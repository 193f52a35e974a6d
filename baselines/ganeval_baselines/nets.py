"""Networks by the shape of the data, so that a model is one row on every data set.

| data        | network | generator                                   | discriminator                          |
|-------------|---------|---------------------------------------------|----------------------------------------|
| (2,)        | mlp     | 3 hidden layers of 128                      | 3 hidden layers of 128                 |
| (C, 8, 8)   | mlp     | 2 hidden layers of 256                      | 2 hidden layers of 256                 |
| (C, 28, 28) | conv28  | FC 16c - FC 7x7x2c - deconv c - deconv C    | conv c - conv 2c - FC 16c - FC 1       |
| (C, 32, 32) | conv32  | FC 16c - FC 4x4x4c - deconv 2c, c - deconv C| conv c, 2c, 4c - FC 16c - FC 1         |

c is the recipe's `width`; conv28 with c = 64 is the network of InfoGAN and of Lucic et al. (2018), and 32 the default
here, for the sake of a CPU. Convolutions are 4x4 with stride 2. Batch normalisation in the generator throughout, in
the discriminator's inner layers where `norm` is set, in neither on points; ReLU in the generator, leaky ReLU of slope
0.2 in the discriminator. Images lie in [-1, 1].
MultiMNIST's 36x36 is as 28x28, with 9x9 for 7x7: conv36.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from ganeval.errors import GanevalError

LEVELS = {28: 2, 32: 3, 36: 2}
"""Halvings of an image by side: 28 to 7, 32 to 4, 36 to 9."""

HIDDEN = {1: (128, 128, 128), 3: (256, 256)}
"""Widths of a perceptron's hidden layers, by the rank of its data: points and images."""


def family(shape: tuple[int, ...]) -> str:
    """The network's name for data of this shape. Raises GanevalError where there is none."""
    if len(shape) == 1 or shape[-2:] == (8, 8):
        return "mlp"
    if shape[-2] == shape[-1] and shape[-1] in LEVELS:
        return f"conv{shape[-1]}"
    raise GanevalError(
        f"there is no network for images of {shape[-1]}x{shape[-2]}; "
        "the baselines train on 8x8, 28x28 and 32x32: --image-size 32 resizes a folder's images"
    )


class Generator(nn.Module):
    """Maps latents (B, latent_dim), and one-hot labels where it has classes, to samples (B, *shape)."""

    def __init__(
        self, shape: tuple[int, ...], latent_dim: int, width: int, classes: int = 0, dense: bool = True
    ) -> None:
        super().__init__()
        self.shape, self.classes = shape, classes
        inputs = latent_dim + classes
        if family(shape) == "mlp":
            layers: list[nn.Module] = []
            for n_in, n_out in pairwise([inputs, *HIDDEN[len(shape)]]):
                layers += [nn.Linear(n_in, n_out), *_norm(len(shape) > 1, nn.BatchNorm1d, n_out), nn.ReLU()]
            self.layers = nn.Sequential(*layers, nn.Linear(HIDDEN[len(shape)][-1], math.prod(shape)))
        else:
            self.layers = _conv_generator(shape, inputs, width, dense)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        if labels is not None:
            latents = torch.cat([latents, one_hot(labels, self.classes).to(latents.dtype)], 1)
        samples = self.layers(latents).view(-1, *self.shape)
        return samples if len(self.shape) == 1 else samples.tanh()


def _conv_generator(shape: tuple[int, ...], inputs: int, width: int, dense: bool) -> nn.Sequential:
    levels = LEVELS[shape[-1]]
    side, channels = shape[-1] >> levels, [width << level for level in reversed(range(levels))]
    layers: list[nn.Module] = []
    if dense:
        layers += [nn.Linear(inputs, 16 * width), nn.BatchNorm1d(16 * width), nn.ReLU()]
        inputs = 16 * width
    layers += [nn.Linear(inputs, channels[0] * side * side), nn.Unflatten(1, (channels[0], side, side))]
    for c_in, c_out in pairwise([*channels, shape[0]]):
        layers += [nn.BatchNorm2d(c_in), nn.ReLU(), nn.ConvTranspose2d(c_in, c_out, 4, 2, 1)]
    return nn.Sequential(*layers)


class Discriminator(nn.Module):
    """Maps samples (B, *shape), and labels where it has classes, to logits (B,), or (B, outputs) above 1.

    `trunk` ends in the features that heads of other models share.
    """

    def __init__(
        self, shape: tuple[int, ...], width: int, norm: bool, outputs: int = 1, classes: int = 0, dense: bool = True
    ) -> None:
        super().__init__()
        self.shape, self.classes = shape, classes
        if family(shape) == "mlp":
            self.features = HIDDEN[len(shape)][-1]
            layers: list[nn.Module] = [nn.Flatten()]
            for rank, (n_in, n_out) in enumerate(pairwise([math.prod(shape) + classes, *HIDDEN[len(shape)]])):
                inner = norm and rank > 0 and len(shape) > 1
                layers += [nn.Linear(n_in, n_out), *_norm(inner, nn.BatchNorm1d, n_out), nn.LeakyReLU(0.2)]
            self.trunk = nn.Sequential(*layers)
        else:
            self.trunk, self.features = _conv_trunk(shape, width, norm, classes, dense)
        self.head = nn.Linear(self.features, outputs)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        logits = self.head(self.trunk(x if labels is None else self.labelled(x, labels)))
        return logits.squeeze(1) if logits.shape[1] == 1 else logits

    def labelled(self, x: Tensor, labels: Tensor) -> Tensor:
        """x with its class beside it: one-hot numbers for a perceptron, constant planes for a convolution."""
        hot = one_hot(labels, self.classes).to(x.dtype)
        if family(self.shape) == "mlp":
            return torch.cat([x.flatten(1), hot], 1)
        return torch.cat([x, hot[:, :, None, None].expand(-1, -1, *x.shape[2:])], 1)


def _conv_trunk(shape: tuple[int, ...], width: int, norm: bool, classes: int, dense: bool) -> tuple[nn.Sequential, int]:
    levels = LEVELS[shape[-1]]
    channels = [shape[0] + classes, *(width << level for level in range(levels))]
    layers: list[nn.Module] = []
    for level, (c_in, c_out) in enumerate(pairwise(channels)):
        layers += [nn.Conv2d(c_in, c_out, 4, 2, 1), *_norm(norm and level > 0, nn.BatchNorm2d, c_out)]
        layers += [nn.LeakyReLU(0.2)]
    features = channels[-1] * (shape[-1] >> levels) ** 2
    layers.append(nn.Flatten())
    if dense:
        layers += [nn.Linear(features, 16 * width), *_norm(norm, nn.BatchNorm1d, 16 * width), nn.LeakyReLU(0.2)]
        features = 16 * width
    return nn.Sequential(*layers), features


def _norm(wanted: bool, kind: type[nn.Module], features: int) -> list[nn.Module]:
    return [kind(features)] if wanted else []


def initialise(network: nn.Module, std: float = 0.02) -> None:
    """Weights from N(0, std), scales from N(1, std), biases 0, as in DCGAN (Radford et al., 2016)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, std)
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, std)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
