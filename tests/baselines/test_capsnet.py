"""CapsNet against the equations of Sabour et al. (2017), worked by hand and in loops."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ganeval_baselines.classifiers.base import multi_hot
from ganeval_baselines.classifiers.capsnet import CapsNet, CapsNetRecipe, CapsNetSmall, margin_loss, route, squash

from ganeval.errors import GanevalError

TINY = CapsNetRecipe(channels=4, capsules=2)


def capsnet(side: int = 28, classes: int = 10, **changes: object) -> CapsNet:
    torch.manual_seed(0)
    data = SimpleNamespace(shape=(1, side, side), classes=classes)
    return CapsNet(data, replace(TINY, **changes))


def parameters(kind: type[CapsNet], side: int, **changes: object) -> int:
    network = kind(SimpleNamespace(shape=(1, side, side), classes=10), replace(kind.recipe, **changes))
    return sum(weight.numel() for weight in network.parameters())


def images(n: int, side: int = 28) -> torch.Tensor:
    return 2 * torch.rand(n, 1, side, side, generator=torch.Generator().manual_seed(1)) - 1


def test_the_sizes_are_the_papers() -> None:
    assert parameters(CapsNet, 28) == 8_215_568  # 8.2 M
    assert parameters(CapsNet, 28, reconstruction=0.0) == 6_804_224  # 6.8 M without the decoder
    assert parameters(CapsNet, 36) == 11_361_808  # 11.36 M on MultiMNIST
    assert parameters(CapsNetSmall, 28) < 2_120_000


def test_there_are_1152_primary_capsules_of_8_dimensions() -> None:
    network = CapsNet(SimpleNamespace(shape=(1, 28, 28), classes=10), CapsNet.recipe)
    assert network.transform.shape == (32 * 6 * 6, 8, 10, 16)


def test_squash_by_hand() -> None:
    # |s| = 5, so the length becomes 25/26 in the direction (0.6, 0.8).
    assert torch.allclose(squash(torch.tensor([[3.0, 4.0]])), torch.tensor([[0.6, 0.8]]) * 25 / 26)


def test_squash_has_no_nan_at_zero() -> None:
    s = torch.zeros(2, 8, requires_grad=True)
    out = squash(s)
    out.sum().backward()
    assert out.eq(0).all()
    assert s.grad is not None
    assert s.grad.eq(0).all()


def test_the_margin_loss_by_hand() -> None:
    lengths = torch.tensor([[0.8, 0.3, 0.05], [0.95, 0.2, 0.6]])
    # (0.9 - 0.8)^2 + 0.5 (0.3 - 0.1)^2 = 0.03; with two true classes (0.9 - 0.6)^2 + 0.5 (0.2 - 0.1)^2 = 0.095.
    true = torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 1.0]])
    assert math.isclose(margin_loss(lengths, true).item(), (0.03 + 0.095) / 2, rel_tol=1e-6)


def by_loops(votes: np.ndarray, iterations: int) -> np.ndarray:
    """Procedure 1, line by line, for one image: votes (I, J, D)."""
    n_in, n_out, _ = votes.shape
    b = np.zeros((n_in, n_out))
    for _ in range(iterations):
        c = np.array([[math.exp(b[i, j]) / sum(math.exp(x) for x in b[i]) for j in range(n_out)] for i in range(n_in)])
        v = []
        for j in range(n_out):
            s = sum(c[i, j] * votes[i, j] for i in range(n_in))
            length = math.sqrt(sum(x * x for x in s))
            v.append(length**2 / (1 + length**2) * s / length)
        for i in range(n_in):
            for j in range(n_out):
                b[i, j] += float(votes[i, j] @ v[j])
    return np.array(v)


@pytest.mark.parametrize("iterations", [1, 2, 3, 5])
def test_routing_is_procedure_1(iterations: int) -> None:
    votes = np.random.default_rng(0).normal(size=(2, 5, 3, 4))
    want = np.stack([by_loops(image, iterations) for image in votes])
    np.testing.assert_allclose(route(torch.from_numpy(votes).transpose(1, 2), iterations).numpy(), want, rtol=1e-12)


def test_each_capsule_divides_itself_among_the_outputs() -> None:
    # Before any agreement each of 6 inputs gives half of its vote to each of 2 outputs: s = 6 x 0.5 x 1 = 3.
    lengths = route(torch.ones(1, 2, 6, 1), 1)
    assert torch.allclose(lengths, torch.tensor(9 / 10))


def test_the_gradient_goes_through_every_iteration() -> None:
    votes = torch.randn(2, 2, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.autograd.gradcheck(lambda x: route(x, 3), (votes.requires_grad_(),))


def test_the_authors_weighting_divides_the_margin_alone_by_twenty() -> None:
    x, labels = images(3), torch.tensor([1, 7, 7])
    paper = capsnet(weighting="paper").terms(x, labels)
    authors = capsnet(weighting="authors").terms(x, labels)
    assert torch.allclose(authors["margin"], paper["margin"] / 20)
    assert torch.equal(authors["reconstruction"], paper["reconstruction"])


def test_the_margin_term_is_that_of_the_capsules_lengths() -> None:
    network, x, labels = capsnet(), images(3), torch.tensor([1, 7, 7])
    lengths = network.features(x).view(3, 10, 16).square().sum(2).sqrt()
    assert torch.allclose(network.terms(x, labels)["margin"], margin_loss(lengths, multi_hot(labels, 10)))


def test_the_reconstruction_is_the_summed_squared_error_of_pixels_from_0_to_1() -> None:
    network, x = capsnet(), images(3)
    network.decoder = torch.nn.Sequential(torch.nn.Linear(160, 784), torch.nn.Sigmoid())
    torch.nn.init.zeros_(network.decoder[0].weight)
    torch.nn.init.zeros_(network.decoder[0].bias)
    want = 0.0005 * ((x + 1) / 2 - 0.5).square().sum() / 3
    assert torch.allclose(network.terms(x, torch.tensor([0, 1, 2]))["reconstruction"], want)


def test_the_decoder_sees_the_true_capsules_alone() -> None:
    network, x = capsnet(36), images(2, 36)
    seen: list[torch.Tensor] = []
    assert network.decoder is not None
    network.decoder.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    network.terms(x, torch.tensor([[3, 9], [0, 4]]))
    kept = seen[0].view(2, 10, 16).abs().sum(2) > 0
    assert [row.nonzero().flatten().tolist() for row in kept] == [[3, 9], [0, 4]]


def test_a_primary_capsule_is_8_channels_at_one_place() -> None:
    """What changes one corner of the image moves only the votes of the capsules there, all 8 numbers together."""
    network, x = capsnet(), images(1)
    seen: list[torch.Tensor] = []
    einsum = torch.einsum

    def spy(equation: str, *tensors: torch.Tensor) -> torch.Tensor:
        if equation.startswith("bip"):
            seen.append(tensors[0].detach())
        return einsum(equation, *tensors)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "einsum", spy)
        network.features(x)
        x = x.clone()
        x[..., 0, 0] = 5.0
        network.features(x)
    moved = (seen[0] != seen[1])[0]
    # The corner pixel reaches position (0, 0) of the 6x6 grid alone: one capsule of each of the 2 types.
    assert moved.any(1).nonzero().flatten().tolist() == [0, 36]
    assert moved[[0, 36]].all()


def test_the_logits_are_the_log_odds_of_the_lengths() -> None:
    network, x = capsnet(), images(4)
    features = network.features(x)
    assert features.shape == (4, 160)
    assert torch.allclose(network.logits(x).sigmoid(), network.lengths(features), atol=1e-6)


def test_more_iterations_change_the_answer() -> None:
    x, once, thrice = images(2), capsnet(routing=1), capsnet(routing=3)
    with torch.no_grad():
        for network in (once, thrice):
            network.transform *= 10
            network.primary.weight *= 20
    assert not torch.allclose(once.lengths(once.features(x)), thrice.lengths(thrice.features(x)), atol=0.01)


def test_without_reconstruction_there_is_no_decoder() -> None:
    network = capsnet(reconstruction=0.0)
    assert set(network.terms(images(2), torch.tensor([1, 2]))) == {"margin"}


def test_no_iterations_are_refused() -> None:
    with pytest.raises(GanevalError, match="routing is 0 iterations; give 1 or more"):
        capsnet(routing=0)
