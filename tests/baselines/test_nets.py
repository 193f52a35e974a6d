"""The networks by data shape: what they map, where they normalise, how they begin."""

from __future__ import annotations

import math

import pytest
import torch
from ganeval_baselines.nets import Discriminator, Generator, family, initialise
from torch import nn

from ganeval.errors import GanevalError
from tests.baselines.conftest import MODELS, data_of, home_of, row_of, settings, state_of

SHAPES = {"points": (2,), "8x8": (1, 8, 8), "28x28": (1, 28, 28), "32x32": (3, 32, 32)}
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def norms(network: nn.Module) -> int:
    return sum(isinstance(module, NORMS) for module in network.modules())


def count(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_shapes(shape: tuple[int, ...], dense: bool) -> None:
    samples = Generator(shape, 5, 4, dense=dense)(torch.randn(3, 5))
    assert samples.shape == (3, *shape)
    assert Discriminator(shape, 4, True, dense=dense)(samples).shape == (3,)
    assert Discriminator(shape, 4, True, outputs=4, dense=dense)(samples).shape == (3, 4)
    network = Discriminator(shape, 4, True, dense=dense)
    assert network.trunk(samples).shape == (3, network.features)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_conditional_networks_see_every_class(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    generator, discriminator = Generator(shape, 5, 4, classes=3), Discriminator(shape, 4, True, classes=3)
    generator.eval(), discriminator.eval()
    z, x = torch.randn(1, 5).expand(3, 5), torch.randn(1, *shape).expand(3, *shape)
    labels = torch.arange(3)
    for out in (generator(z, labels), discriminator(x, labels)):
        assert not torch.equal(out[0], out[1])
        assert not torch.equal(out[1], out[2])


def test_images_lie_in_the_range_of_tanh_and_points_anywhere() -> None:
    for shape in SHAPES.values():
        network = Generator(shape, 5, 4).eval()
        last = [module for module in network.modules() if hasattr(module, "bias") and not isinstance(module, NORMS)][-1]
        nn.init.constant_(last.bias, 50.0)
        largest = float(network(torch.randn(4, 5)).detach().abs().max())
        assert largest == 1 if len(shape) == 3 else largest > 40


def test_the_28x28_networks_are_infogan_s() -> None:
    # c = 64: FC 1024, FC 7x7x128, deconv 64, deconv 1; conv 64, conv 128, FC 1024, FC 1; with biases and norms.
    z = 74
    g = (z + 1) * 1024 + 2 * 1024 + 1025 * 6272 + 2 * 128 + (128 * 64 * 16 + 64) + 2 * 64 + (64 * 16 + 1)
    d = (16 * 64 + 64) + (64 * 128 * 16 + 128) + 2 * 128 + (6272 + 1) * 1024 + 2 * 1024 + 1025
    assert count(Generator((1, 28, 28), z, 64)) == g
    assert count(Discriminator((1, 28, 28), 64, True)) == d


@pytest.mark.parametrize("shape", list(SHAPES.values())[1:], ids=list(SHAPES)[1:])
def test_no_normalisation_at_the_players_ends(shape: tuple[int, ...]) -> None:
    weighted = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
    steps = [m for m in Generator(shape, 5, 4).modules() if isinstance(m, (*NORMS, *weighted))]
    assert isinstance(steps[-1], weighted)
    assert norms(Generator(shape, 5, 4)) > 0
    steps = [m for m in Discriminator(shape, 4, True).modules() if isinstance(m, (*NORMS, *weighted))]
    assert isinstance(steps[0], weighted)
    assert isinstance(steps[1], weighted)
    assert isinstance(steps[-1], nn.Linear)
    assert norms(Discriminator(shape, 4, False)) == 0 < norms(Discriminator(shape, 4, True))


PENALISED = {"wgan_gp", "dragan", "lsgan_gp"}


@pytest.mark.parametrize("model", MODELS)
def test_a_penalised_critic_has_no_batch_norm_and_dcgan_s_has(model: str) -> None:
    network = state_of(model, "digits").model
    critic = norms(network.get_submodule("discriminator"))
    assert critic == 0 or not hasattr(network.settings, "penalty_weight")
    if model in PENALISED | {"unrolled"}:
        assert critic == 0
    elif model in {"gan", "nsgan", "lsgan", "wgan", "dcgan", "cgan", "acgan", "infogan"}:
        assert critic > 0


@pytest.mark.parametrize("model", sorted(PENALISED))
def test_a_penalised_critic_judges_each_sample_alone(model: str) -> None:
    critic = state_of(model, "digits").model.get_submodule("discriminator").train()
    x = torch.randn(4, 1, 8, 8)
    torch.testing.assert_close(critic(x)[:1], critic(x[:1]))


def test_dcgan_begins_from_narrow_normals() -> None:
    torch.manual_seed(0)
    networks = [Generator((3, 32, 32), 100, 32, dense=False), Discriminator((3, 32, 32), 32, True, dense=False)]
    for network in networks:
        initialise(network)
        for module in network.modules():
            if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)) and module.weight.numel() > 1000:
                spread = module.weight.std().item()
                assert spread == pytest.approx(0.02, rel=5 / math.sqrt(2 * module.weight.numel()))
            elif isinstance(module, NORMS):
                assert module.weight.mean().item() == pytest.approx(1, abs=0.02)
            assert getattr(module, "bias", None) is None or not module.bias.any()


def test_dcgan_has_no_hidden_dense_layer() -> None:
    networks = [Generator((1, 28, 28), 100, 8, dense=False), Discriminator((1, 28, 28), 8, True, dense=False)]
    assert [sum(isinstance(module, nn.Linear) for module in network.modules()) for network in networks] == [1, 1]


@pytest.mark.parametrize("model", MODELS)
def test_every_model_is_built_where_its_row_says(model: str) -> None:
    kind = row_of(model).fn
    built = kind(data_of(home_of(model)), settings(kind))
    for player in built.players:
        ids = [id(weight) for weight in built.weights(player)]
        assert len(ids) == len(set(ids)) > 0


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 28, 32), (3, 16, 16), (1, 7, 7)])
def test_an_image_size_without_a_network(shape: tuple[int, ...]) -> None:
    with pytest.raises(GanevalError, match=f"{shape[2]}x{shape[1]}.*--image-size"):
        family(shape)
