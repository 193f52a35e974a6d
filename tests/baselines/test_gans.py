"""Each GAN's losses and gradients: against finite differences, and against values worked by hand on tiny networks."""

from __future__ import annotations

import math
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from ganeval_baselines.data import Batch
from ganeval_baselines.evaluate import reference_of
from ganeval_baselines.gans.ebgan import AutoEncoder
from ganeval_baselines.gans.infogan import InfoGAN
from ganeval_baselines.gans.mad_gan import Generators
from ganeval_baselines.gans.minibatch_discrimination import Minibatch
from ganeval_baselines.judges import BySamples
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import softplus

from ganeval.errors import GanevalError
from ganeval.registry import BASELINES
from tests.baselines.conftest import (
    FAKE,
    MODELS,
    REAL,
    B,
    Plane,
    Points,
    Toy,
    W,
    data_of,
    home_of,
    numbers,
    run_of,
    state_of,
    toy,
)

X, G, N = numbers(REAL), numbers(FAKE), 3


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def log_softmax(logits: np.ndarray) -> np.ndarray:
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))


def total(model: nn.Module, player: str, batch: Batch, seed: int = 5) -> Tensor:
    torch.manual_seed(seed)
    return torch.stack(list(model.loss(player, batch).values())).sum()  # type: ignore[operator]


# Every model of the registry


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.usefixtures("float64")
def test_the_gradient_is_the_loss_s_finite_difference(model: str) -> None:
    run = run_of(model, home_of(model), latent_dim=4)
    state = state_of(model, home_of(model), latent_dim=4)
    network = state.model.double()
    real, labels = run.data.batch(0, 0, 16)
    batch = Batch(real.double(), labels)
    for player in network.players:
        weights = network.weights(player)
        gradient = torch.autograd.grad(total(network, player, batch), weights)
        size = torch.cat([part.flatten() for part in gradient]).norm()
        assert size > 0
        # Along the gradient itself: a part that was detached would show as a smaller slope.
        way, eps, values = [part / size for part in gradient], 1e-6, []
        for sign in (1, -1):
            with torch.no_grad():
                for weight, part in zip(weights, way, strict=True):
                    weight += sign * eps * part
            values.append(float(total(network, player, batch).detach()))
            with torch.no_grad():
                for weight, part in zip(weights, way, strict=True):
                    weight -= sign * eps * part
        assert (values[0] - values[1]) / (2 * eps) == pytest.approx(float(size), rel=2e-4), player


@pytest.mark.parametrize("model", MODELS)
def test_the_discriminator_s_loss_has_no_slope_in_the_generator(model: str) -> None:
    state = state_of(model, home_of(model))
    network = state.model
    loss = total(network, "discriminator", run_of(model, home_of(model)).data.batch(0, 0, 16))
    slopes = torch.autograd.grad(loss, list(network.generator.parameters()), allow_unused=True)  # type: ignore
    assert all(slope is None for slope in slopes)


@pytest.mark.parametrize("model", MODELS)
def test_the_players_draw_their_own_fakes(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = state_of(model, home_of(model)).model
    drawn: list[Tensor] = []
    latents = type(network).latents  # type: ignore[attr-defined]
    monkeypatch.setattr(type(network), "latents", lambda self, n: drawn.append(latents(self, n)) or drawn[-1])
    batch = run_of(model, home_of(model)).data.batch(0, 0, 16)
    for player in network.players:
        network.loss(player, batch)
    assert len(drawn) == 2
    assert not torch.equal(drawn[0], drawn[1])


# The adversarial pair of each model, at D(x) = w x + b and points in place of a generator

R_LOGITS, F_LOGITS = X @ numbers(W) + B, G @ numbers(W) + B


def bce(r: np.ndarray, f: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    return -np.log(sigmoid(r)).mean() - np.log(1 - sigmoid(f)).mean(), (sigmoid(r) - 1) / N, sigmoid(f) / N


def squares(r: np.ndarray, f: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    return 0.5 * ((r - 1) ** 2).mean() + 0.5 * (f**2).mean(), (r - 1) / N, f / N


def distance(r: np.ndarray, f: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    return f.mean() - r.mean(), np.full(N, -1 / N), np.full(N, 1 / N)


def log_one_minus(f: np.ndarray) -> tuple[float, np.ndarray]:
    return np.log(1 - sigmoid(f)).mean(), -sigmoid(f) / N


def minus_bce(f: np.ndarray) -> tuple[float, np.ndarray]:
    return -bce(R_LOGITS, f)[0], -sigmoid(f) / N


def minus_log(f: np.ndarray) -> tuple[float, np.ndarray]:
    return -np.log(sigmoid(f)).mean(), (sigmoid(f) - 1) / N


def squares_to_one(f: np.ndarray) -> tuple[float, np.ndarray]:
    return 0.5 * ((f - 1) ** 2).mean(), (f - 1) / N


def minus_mean(f: np.ndarray) -> tuple[float, np.ndarray]:
    return -f.mean(), np.full(N, -1 / N)


ADVERSARIAL = {
    "gan": (bce, log_one_minus),
    "nsgan": (bce, minus_log),
    "lsgan": (squares, squares_to_one),
    "wgan": (distance, minus_mean),
    "wgan_gp": (distance, minus_mean),
    "dragan": (bce, minus_log),
    "lsgan_gp": (squares, squares_to_one),
    "dcgan": (bce, minus_log),
    "cgan": (bce, minus_log),
    "minibatch_discrimination": (bce, minus_log),
    "historical_averaging": (bce, minus_log),
    "unrolled": (bce, minus_bce),
}
OTHERWISE = {"acgan", "infogan", "ebgan", "mad_gan", "feature_matching", "ssgan"}


def test_every_model_is_worked_by_hand_somewhere() -> None:
    ours = {name for name in MODELS if str(BASELINES[name].target).startswith("ganeval_baselines.")}
    assert ours == set(ADVERSARIAL) | OTHERWISE


@pytest.mark.parametrize("model", ADVERSARIAL)
def test_the_adversarial_losses_by_hand(model: str) -> None:
    known = {"penalty_weight": 0.0} if model in ("wgan_gp", "dragan", "lsgan_gp") else {}
    known |= {"unrolled_steps": 0} if model == "unrolled" else {}
    made = toy(model, labels=[0, 0, 0] if model == "cgan" else None, **known)
    optimise(made)
    d_loss, d_real, d_fake = ADVERSARIAL[model][0](R_LOGITS, F_LOGITS)
    loss, slope = made.slopes("discriminator")
    assert loss == pytest.approx(d_loss, rel=1e-5)
    np.testing.assert_allclose(slope, d_real @ X + d_fake @ G, rtol=1e-5, atol=1e-7)
    g_loss, g_fake = ADVERSARIAL[model][1](F_LOGITS)
    loss, slope = made.slopes("generator")
    assert loss == pytest.approx(g_loss, rel=1e-5)
    np.testing.assert_allclose(slope, np.outer(g_fake, W), rtol=1e-5, atol=1e-7)


def optimise(made: Toy, rate: float = 0.05) -> torch.optim.Optimizer:
    """Adam for the toy's discriminator, and past weights for historical averaging of their new size."""
    model = made.model
    adam = torch.optim.Adam(model.discriminator.parameters(), rate, (0.5, 0.999))
    model.optimisers = {"discriminator": adam}
    for player in model.players:
        if f"{player}_past" in dict(model.named_buffers()):
            setattr(model, f"{player}_past", nn.utils.parameters_to_vector(model.weights(player)).detach().clone())
    return adam


def test_minimax_leaves_the_generator_still_before_a_sure_discriminator() -> None:
    gan, nsgan = (toy(name, b=-30.0).slopes("generator")[1].norm() for name in ("gan", "nsgan"))
    assert gan < 1e-9
    assert nsgan > 0.5


# Gradient penalties


class Bowl(nn.Module):
    """D(x) = a |x|^2 / 2, whose slope at x is a |x|."""

    def __init__(self, a: float) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(a))

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.a * x.square().flatten(1).sum(1) / 2


def bowled(model: str, seed: int, **changes: float) -> tuple[Toy, Tensor, float]:
    """The toy under a bowl of a = 1.5; the penalty at this seed, and its slope in a."""
    made = toy(model, penalty_weight=7.0, **changes)
    made.model.discriminator = Bowl(1.5)
    torch.manual_seed(seed)
    penalty = made.model.penalty(made.batch, torch.tensor(FAKE))["penalty"]
    return made, penalty, float(torch.autograd.grad(penalty, made.model.discriminator.a, retain_graph=True)[0])


def test_wgan_gp_by_hand() -> None:
    _, penalty, slope = bowled("wgan_gp", 3)
    torch.manual_seed(3)
    mix = torch.rand(N, 1).double().numpy()
    assert len(set(mix.flatten())) == N
    norms = np.linalg.norm(mix * X + (1 - mix) * G, axis=1)
    assert penalty.item() == pytest.approx(7 * ((1.5 * norms - 1) ** 2).mean(), rel=1e-5)
    assert slope == pytest.approx(7 * (2 * norms * (1.5 * norms - 1)).mean(), rel=1e-5)
    # The norm of the whole batch's gradient is another number.
    whole = 7 * (1.5 * np.sqrt((norms**2).sum()) - 1) ** 2
    assert abs(whole - penalty.item()) > 1


def test_wgan_gp_s_points_lie_between_the_real_and_the_fake(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Tensor] = []
    made = toy("wgan_gp")
    made.model.discriminator = Bowl(1.0)
    monkeypatch.setattr(made.model, "scores", lambda x, labels: seen.append(x.detach()) or x.square().sum(1))
    torch.manual_seed(0)
    real, fake = torch.zeros(400, 1, 8, 8), torch.ones(400, 1, 8, 8)
    made.model.penalty(Batch(real, None), fake)
    # One weight an image, each uniform.
    shares = seen[0].flatten(1)
    assert torch.equal(shares, shares[:, :1].expand_as(shares))
    assert float(shares[:, 0].mean()) == pytest.approx(0.5, abs=4 * math.sqrt(1 / 12 / 400))
    assert float(shares[:, 0].var()) == pytest.approx(1 / 12, rel=0.3)


@pytest.mark.parametrize("model", ["dragan", "lsgan_gp"])
def test_dragan_s_noise_is_the_authors(model: str) -> None:
    _, penalty, slope = bowled(model, 4)
    torch.manual_seed(4)
    mix, noise = torch.rand(N, 1).double().numpy(), torch.rand(N, 2).double().numpy()
    spread = np.std(X, ddof=1)
    norms = np.linalg.norm(X + mix * 0.5 * spread * noise, axis=1)
    assert penalty.item() == pytest.approx(7 * ((1.5 * norms - 1) ** 2).mean(), rel=1e-5)
    assert slope == pytest.approx(7 * (2 * norms * (1.5 * norms - 1)).mean(), rel=1e-5)


def test_dragan_stays_by_the_real_images() -> None:
    made = toy("dragan", penalty_weight=1.0)
    penalties = []
    for fake in (torch.zeros(N, 2), torch.full((N, 2), 1e6)):
        torch.manual_seed(0)
        penalties.append(made.model.penalty(made.batch, fake)["penalty"].item())
    assert penalties[0] == penalties[1]


@pytest.mark.parametrize("model", ["wgan_gp", "dragan", "lsgan_gp"])
def test_a_penalty_of_slope_one_is_nothing(model: str) -> None:
    made = toy(model, w=[0.6, 0.8])
    assert made.model.penalty(made.batch, torch.tensor(FAKE))["penalty"].item() == pytest.approx(0, abs=1e-10)


# WGAN


def test_wgan_clips_the_critic_alone() -> None:
    network = state_of("wgan", "digits", clip=0.03).model
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(torch.randn_like(weight))
    before = [weight.detach().clone() for weight in network.parameters()]
    network.after("generator")
    assert all(torch.equal(weight, old) for weight, old in zip(network.parameters(), before, strict=True))
    inside = network.discriminator.head.weight.detach().clone()  # type: ignore[union-attr]
    network.after("discriminator")
    assert max(float(weight.detach().abs().max()) for weight in network.weights("discriminator")) == pytest.approx(0.03)
    torch.testing.assert_close(network.discriminator.head.weight, inside.clamp(-0.03, 0.03))  # type: ignore
    assert max(float(weight.detach().abs().max()) for weight in network.weights("generator")) > 1


def test_wgan_s_schedule_is_the_authors() -> None:
    model = toy("wgan", critic_steps=5, warm_up=100).model
    waits = [next(n for n in range(1, 200) if model.due("generator", n, turn)) for turn in range(1002)]
    long = [*range(25), 500, 1000]
    assert [turn for turn, wait in enumerate(waits) if wait == 100] == long
    assert {wait for turn, wait in enumerate(waits) if turn not in long} == {5}
    model = toy("wgan", critic_steps=5, warm_up=0).model
    assert {next(n for n in range(1, 200) if model.due("generator", n, turn)) for turn in range(1002)} == {5}


# Conditional models


def test_cgan_tells_the_discriminator_the_class_of_either() -> None:
    state, run = state_of("cgan", "digits"), run_of("cgan", "digits")
    batch = run.data.batch(0, 0, 16)
    assert batch.labels is not None
    seen: list[tuple[str, Tensor]] = []
    for name in ("generator", "discriminator"):
        network = getattr(state.model, name)
        network.register_forward_hook(lambda _, args, out, name=name: seen.append((name, args[1])))
    for player in state.model.players:
        state.model.loss(player, batch)
    assert [name for name, _ in seen] == ["generator", "discriminator", "discriminator", "generator", "discriminator"]
    assert all(torch.equal(labels, batch.labels) for _, labels in seen)


def test_acgan_by_hand() -> None:
    w, b = numbers([[0.6, -0.8], [1.0, 0.5], [-0.3, 0.2]]), numbers([0.3, 0.0, -0.1])
    made = toy("acgan", w.tolist(), b.tolist(), labels=[0, 1, 1], class_weight=2.0)
    real, fake, y = X @ w.T + b, G @ w.T + b, np.array([0, 1, 1])
    # One softmax: the cross-entropy of the logits themselves.
    ce_real, ce_fake = (-log_softmax(out[:, 1:])[np.arange(N), y].mean() for out in (real, fake))
    loss, _ = made.slopes("discriminator")
    assert loss == pytest.approx(bce(real[:, 0], fake[:, 0])[0] + 2 * (ce_real + ce_fake), rel=1e-5)
    loss, slope = made.slopes("generator")
    g_loss, g_fake = minus_log(fake[:, 0])
    assert loss == pytest.approx(g_loss + 2 * ce_fake, rel=1e-5)
    soft = (np.exp(log_softmax(fake[:, 1:])) - np.eye(2)[y]) / N
    np.testing.assert_allclose(slope, np.outer(g_fake, w[0]) + 2 * soft @ w[1:], rtol=1e-4, atol=1e-6)


# InfoGAN


def infogan(codes: int = 2, continuous: int = 2) -> InfoGAN:
    """InfoGAN on points whose Q is q x, two logits and two means, on a trunk that leaves x alone."""
    model = toy("infogan", codes=codes, continuous=continuous, info_weight=3.0).model
    assert isinstance(model, InfoGAN)
    model.recogniser = nn.Linear(2, codes + continuous, bias=False)
    model.recogniser.weight.data[: len(Q)] = torch.tensor(Q)
    return model


Q = [[1.0, 0.5], [-0.3, 0.2], [0.4, -0.7], [-0.9, 0.1]]


def test_infogan_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    model = infogan()
    kinds, along = torch.tensor([1, 0, 1]), torch.tensor([[0.5, -0.1], [-1.0, 0.8], [0.25, 0.3]])
    monkeypatch.setattr(model, "codes", lambda n: (kinds, along))
    made = Toy(model, Batch(torch.tensor(REAL), None))
    guess, y = G @ numbers(Q).T, kinds.numpy()
    off = guess[:, 2:] - along.double().numpy()
    # -log of a Gaussian of deviation 1: half the squares of all codes of a sample, summed.
    info = 3 * (-log_softmax(guess[:, :2])[np.arange(N), y].mean() + 0.5 * (off**2).sum(1).mean())
    loss, _ = made.slopes("discriminator")
    assert loss == pytest.approx(bce(R_LOGITS, F_LOGITS)[0] + info, rel=1e-5)
    loss, slope = made.slopes("generator")
    g_loss, g_fake = minus_log(F_LOGITS)
    assert loss == pytest.approx(g_loss + info, rel=1e-5)
    soft = (np.exp(log_softmax(guess[:, :2])) - np.eye(2)[y]) / N
    want = np.outer(g_fake, W) + 3 * (soft @ numbers(Q)[:2] + off / N @ numbers(Q)[2:])
    np.testing.assert_allclose(slope, want, rtol=1e-4, atol=1e-6)


def test_q_shares_the_trunk_and_learns_with_both_players() -> None:
    network = state_of("infogan", "digits").model
    trunk, q = set(network.discriminator.trunk.parameters()), set(network.recogniser.parameters())  # type: ignore
    for player in network.players:
        assert q <= set(network.weights(player))
    assert trunk <= set(network.weights("discriminator"))
    assert not trunk & set(network.weights("generator"))
    # The information has a slope in the discriminator's trunk, and none in its head.
    terms = network.loss("discriminator", data_of("digits").batch(0, 0, 16))
    slopes = torch.autograd.grad(terms["info"], [*trunk, *q], retain_graph=True)
    assert all(float(slope.abs().max()) > 0 for slope in slopes if slope.ndim > 1)
    head = list(network.discriminator.head.parameters())  # type: ignore[union-attr]
    assert torch.autograd.grad(terms["info"], head, allow_unused=True) == (None, None)


def test_the_real_images_carry_no_information_term(monkeypatch: pytest.MonkeyPatch) -> None:
    made = infogan()
    values = []
    for real in (torch.tensor(REAL), 100 * torch.tensor(REAL)):
        torch.manual_seed(0)
        values.append(made.discriminator_loss(Batch(real, None))["info"].item())
    assert values[0] == values[1]


def test_mutual_information_is_log_k_less_the_cross_entropy() -> None:
    model = infogan(codes=4, continuous=0)

    def tell(scale: float) -> float:
        # A generator that writes its code out, and a Q that reads it with this much certainty.
        model.generator.forward = lambda z, kinds: torch.nn.functional.one_hot(kinds, 4).float()
        model.recogniser.weight.data = scale * torch.eye(4)
        return model.measures()["mutual_information"]

    assert tell(50.0) == pytest.approx(math.log(4), rel=1e-6)
    assert tell(0.0) == pytest.approx(0, abs=1e-6)
    # At scale 1: log 4 - log((e + 3) / e).
    assert tell(1.0) == pytest.approx(math.log(4) - math.log((math.e + 3) / math.e), rel=1e-5)


def test_mutual_information_is_the_trained_model_s_own() -> None:
    network = state_of("infogan", "digits").model.train()
    first, state = network.measures(), deepcopy(network.state_dict())
    assert network.training
    torch.manual_seed(77)
    # In evaluation mode whatever mode it was in, and without a trace in the running averages.
    assert network.eval().measures() == first
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


def test_infogan_draws_its_codes_as_stated() -> None:
    kinds, along = infogan().codes(4000)
    assert set(kinds.tolist()) == {0, 1}
    assert -1 <= float(along.min()) < -0.99
    assert 0.99 < float(along.max()) <= 1


# EBGAN


class Half(nn.Module):
    """An autoencoder whose code is its input c x, and whose reconstruction is half of that."""

    def __init__(self, c: float) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(c))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return (0.5 * self.w * x - x).square().flatten(1).mean(1), self.w * x


def test_ebgan_by_hand() -> None:
    made = Toy(toy("ebgan", margin=0.3, pull_away_weight=0.7).model, Batch(torch.tensor(REAL), None))
    made.model.discriminator = Half(1.2)
    shrink = (0.5 * 1.2 - 1) ** 2
    real, fake = shrink * (X**2).mean(1), shrink * (G**2).mean(1)
    # Some of the fakes are beyond the margin, some within: the hinge is of each, not of their mean.
    assert 0 < (fake < 0.3).sum() < N
    loss, _ = made.slopes("discriminator")
    assert loss == pytest.approx(real.mean() + np.maximum(0, 0.3 - fake).mean(), rel=1e-5)
    unit = G / np.linalg.norm(G, axis=1, keepdims=True)
    cosines = unit @ unit.T
    pull = np.mean([cosines[i, j] ** 2 for i in range(N) for j in range(N) if i != j])
    loss, slope = made.slopes("generator")
    assert loss == pytest.approx(fake.mean() + 0.7 * pull, rel=1e-5)
    # d unit_i / d g_i takes the part of d pull / d unit_i across g_i.
    toward = sum(4 / (N * (N - 1)) * cosines[:, [j]] * unit[j] * (np.arange(N) != j)[:, None] for j in range(N))
    across = (toward - (toward * unit).sum(1, keepdims=True) * unit) / np.linalg.norm(G, axis=1, keepdims=True)
    np.testing.assert_allclose(slope, shrink * G / N + 0.7 * across, rtol=1e-4, atol=1e-6)


@pytest.mark.usefixtures("float64")
def test_both_sides_of_the_reconstruction_carry_gradient() -> None:
    torch.manual_seed(0)
    network = AutoEncoder((1, 8, 8), 4, False, 6).eval()
    x = torch.randn(2, 1, 8, 8, requires_grad=True)
    way = torch.randn_like(x)
    (slope,) = torch.autograd.grad(network(x)[0].sum(), x)
    ahead, behind = (float(network(x.detach() + sign * 1e-6 * way)[0].sum().detach()) for sign in (1, -1))
    assert float((slope * way).sum()) == pytest.approx((ahead - behind) / 2e-6, rel=1e-5)
    # The energy's slope in x with the target held fixed is another.
    (one_sided,) = torch.autograd.grad(
        (network.decoder(network(x)[1]) - x.detach()).square().flatten(1).mean(1).sum(), x
    )
    assert not torch.allclose(slope, one_sided, rtol=0.01)


# MAD-GAN


def test_mad_gan_by_hand() -> None:
    w, b = numbers([[0.6, -0.8], [1.0, 0.5], [-0.3, 0.2]]), numbers([0.3, 0.0, -0.1])
    made = toy("mad_gan", w.tolist(), b.tolist(), generators=2)
    # Three samples of two generators: the first makes two of them. Class 2 is the data.
    real, fake = X @ w.T + b, G @ w.T + b
    makers = np.array([0, 0, 1])
    loss, _ = made.slopes("discriminator")
    want = -log_softmax(real)[:, 2].mean() - log_softmax(fake)[np.arange(N), makers].mean()
    assert loss == pytest.approx(want, rel=1e-5)
    loss, slope = made.slopes("generator")
    assert loss == pytest.approx(-log_softmax(fake)[:, 2].mean(), rel=1e-5)
    soft = (np.exp(log_softmax(fake)) - np.eye(3)[[2] * N]) / N
    np.testing.assert_allclose(slope, soft @ w, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("n", [4, 6, 11])
def test_mad_gan_credits_each_sample_to_its_maker(n: int) -> None:
    model = toy("mad_gan", generators=4).model
    # Generator k puts out k alone.
    parts = [Points([[float(k), float(k)]] * n) for k in range(4)]
    model.generator = Generators(list(parts))
    assert model.sample(n)[:, 0].tolist() == model.makers(n).tolist()  # type: ignore[operator]


# Feature matching and its relatives


def test_feature_matching_by_hand() -> None:
    made = toy("feature_matching")
    gap = G.mean(0) - X.mean(0)
    loss, slope = made.slopes("generator")
    assert loss == pytest.approx((gap**2).mean(), rel=1e-5)
    # The mean over 2 features of gap^2, gap moved by a third of each point.
    np.testing.assert_allclose(slope, np.tile(gap / N, (N, 1)), rtol=1e-5)
    loss, _ = made.slopes("discriminator")
    assert loss == pytest.approx(bce(R_LOGITS, F_LOGITS)[0], rel=1e-5)


def test_feature_matching_is_on_the_features_before_the_last_layer() -> None:
    network = state_of("feature_matching", "digits").model
    batch = data_of("digits").batch(0, 0, 16)
    before = total(network, "generator", batch)
    with torch.no_grad():
        network.discriminator.head.weight.mul_(5)  # type: ignore[union-attr, operator]
    assert torch.equal(total(network, "generator", batch), before)


@pytest.mark.usefixtures("float64")
def test_the_minibatch_layer_is_the_double_loop() -> None:
    torch.manual_seed(0)
    layer, x = Minibatch(4, 3, 2), torch.randn(5, 4)
    nn.init.normal_(layer.bias)
    m = (x @ layer.project.weight.T).view(5, 3, 2)
    out = layer(x)
    assert torch.equal(out[:, :4], x)
    for i in range(5):
        for b in range(3):
            near = sum(math.exp(-float((m[i, b] - m[j, b]).abs().sum().detach())) for j in range(5) if j != i)
            assert float(out[i, 4 + b].detach()) == pytest.approx(near + float(layer.bias[b].detach()), rel=1e-9)


def test_minibatch_discrimination_tells_a_collapsed_batch() -> None:
    layer = Minibatch(4, 3, 2)
    same, spread = layer(torch.ones(6, 4))[:, 4:], layer(100 * torch.randn(6, 4))[:, 4:]
    assert same.detach().numpy() == pytest.approx(np.full((6, 3), 5.0), abs=1e-5)
    assert float(spread.detach().max()) < 5


def test_minibatch_features_reach_the_discriminator_s_head() -> None:
    network = state_of("minibatch_discrimination", "ring8", kernels=7).model
    trunk = network.discriminator.trunk(torch.zeros(3, 2))  # type: ignore[union-attr, operator]
    assert trunk.shape == (3, network.discriminator.features + 7)  # type: ignore[union-attr, operator]
    # On identical rows each is near to two others, and the bias begins at 0.
    assert torch.equal(trunk[:, -7:], torch.full((3, 7), 2.0))


# Historical averaging


def test_historical_averaging_is_the_distance_to_the_mean_of_the_past() -> None:
    model = toy("historical_averaging", history_weight=0.5).model
    optimise(Toy(model, Batch(torch.tensor(REAL), None)))
    past = [numbers([*W, B])]
    torch.manual_seed(0)
    for _ in range(4):
        with torch.no_grad():
            for weight in model.weights("discriminator"):
                weight += torch.randn_like(weight)
        now = torch.cat([weight.detach().flatten() for weight in model.weights("discriminator")]).double().numpy()
        term = model.loss("discriminator", Batch(torch.tensor(REAL), None))["history"]
        mean = np.mean(past, axis=0)
        assert term.item() == pytest.approx(0.5 * ((now - mean) ** 2).sum(), rel=1e-5)
        slope = torch.cat([s.flatten() for s in torch.autograd.grad(term, model.weights("discriminator"))])
        np.testing.assert_allclose(slope, 0.5 * 2 * (now - mean), rtol=1e-4, atol=1e-6)
        model.after("discriminator")
        past.append(now)
    # The generator has moved none of it.
    assert model.loss("generator", Batch(torch.tensor(REAL), None))["history"].item() == 0


# SSGAN


def ssgan() -> Toy:
    """K = 2 classes, points, and three labelled points of its own."""
    model = toy("infogan").model
    kind = BASELINES["ssgan"].fn
    run = run_of("ssgan", "digits")
    model = kind(run.data, run.settings)
    model.generator, model.discriminator = Points(FAKE), Plane([[0.6, -0.8], [0.1, 0.9]], [0.3, -0.2])
    model.some, model.their_labels = torch.tensor([[1.0, 0.0], [0.0, 2.0], [-1.0, 1.0]]), torch.tensor([0, 1, 0])
    return Toy(model, Batch(torch.tensor(REAL), torch.tensor([1, 1, 1])))


def test_ssgan_s_real_logit_gives_z_over_z_plus_one() -> None:
    made = ssgan()
    logits = made.model.discriminator(made.batch.real)
    z = logits.exp().sum(1)
    torch.testing.assert_close(made.model.scores(made.batch.real, None).sigmoid(), z / (z + 1))
    # The same as a softmax over K + 1 logits, the last of them 0.
    whole = torch.cat([logits, torch.zeros(N, 1)], 1).softmax(1)
    torch.testing.assert_close(made.model.scores(made.batch.real, None).sigmoid(), 1 - whole[:, -1])


def test_ssgan_by_hand() -> None:
    made = ssgan()
    w, b = numbers([[0.6, -0.8], [0.1, 0.9]]), numbers([0.3, -0.2])
    torch.manual_seed(2)
    terms = made.model.loss("discriminator", made.batch)
    torch.manual_seed(2)
    rows = torch.randint(3, (N,)).numpy()
    known = numbers(made.model.some)[rows] @ w.T + b
    y = made.model.their_labels.numpy()[rows]
    assert terms["supervised"].item() == pytest.approx(-log_softmax(known)[np.arange(N), y].mean(), rel=1e-5)
    z_real, z_fake = (np.exp(points @ w.T + b).sum(1) for points in (X, G))
    d_real, d_fake = z_real / (z_real + 1), z_fake / (z_fake + 1)
    want = -0.5 * (np.log(d_real).mean() + np.log(1 - d_fake).mean())
    assert terms["unsupervised"].item() == pytest.approx(want, rel=1e-5)
    loss, slope = made.slopes("generator")
    gap = G.mean(0) - X.mean(0)
    assert loss == pytest.approx((gap**2).mean(), rel=1e-5)
    np.testing.assert_allclose(slope, np.tile(gap / N, (N, 1)), rtol=1e-5)


def test_ssgan_s_record_has_its_test_error(tmp_path: Path) -> None:
    data = data_of("digits")
    model = state_of("ssgan", "digits").model
    judge = BySamples(reference_of(data))
    rows = judge.verdict(model, 0, tmp_path)["metrics"]
    images = torch.stack([data.held_out[i].pixels[:1] for i in range(len(data.held_out))]).float() / 127.5 - 1
    with torch.no_grad():
        wrong = model.eval().discriminator(images).argmax(1) != data.held_out.labels
    assert rows["test_error"]["value"] == pytest.approx(100 * float(wrong.double().mean()))
    assert "test_error" not in judge.verdict(state_of("nsgan", "digits").model, 0, tmp_path)["metrics"]


def test_ssgan_uses_no_label_but_those_it_was_given() -> None:
    network = state_of("ssgan", "digits", labelled=50).model
    batch = data_of("digits").batch(0, 0, 16)
    assert batch.labels is not None
    losses = [total(network, "discriminator", batch._replace(labels=labels)) for labels in (batch.labels, None)]
    assert torch.equal(losses[0], losses[1])
    assert torch.bincount(network.their_labels).tolist() == [5] * 10  # type: ignore[arg-type]


@pytest.mark.parametrize("labelled", [9, 100_000])
def test_ssgan_wants_labels_of_every_class(labelled: int) -> None:
    with pytest.raises(GanevalError, match="labelled"):
        state_of("ssgan", "digits", labelled=labelled)


# Unrolled


def unrolled(k: int, moved: int) -> Toy:
    """The toy with a small perceptron for a critic, whose Adam has taken `moved` real steps."""
    made = toy("unrolled", unrolled_steps=k)
    torch.manual_seed(1)
    made.model.discriminator = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 1), nn.Flatten(0))
    adam = optimise(made)
    for _ in range(moved):
        adam.zero_grad()
        made.model.discriminator_loss(made.batch)["adversarial"].backward()
        adam.step()
    return Toy(made.model, Batch(made.batch.real.to(torch.get_default_dtype()), None))


@pytest.mark.parametrize("moved", [0, 3])
@pytest.mark.parametrize("k", [0, 1, 2])
@pytest.mark.usefixtures("float64")
def test_unrolling_ends_where_adam_would(k: int, moved: int) -> None:
    made = unrolled(k, moved)
    critic = made.model.discriminator
    real, fake = made.batch.real, torch.tensor(FAKE)
    ahead = made.model.unrolled(real, fake)  # type: ignore[operator]
    # torch.optim.Adam itself, on a copy with a copy of its state.
    copy = deepcopy(critic)
    adam = torch.optim.Adam(copy.parameters(), 0.05, (0.5, 0.999))
    adam.load_state_dict(deepcopy(made.model.optimisers["discriminator"].state_dict()))
    for _ in range(k):
        adam.zero_grad()
        (softplus(-copy(real)).mean() + softplus(copy(fake)).mean()).backward()
        adam.step()
    for name, weight in copy.named_parameters():
        torch.testing.assert_close(ahead[name], weight, rtol=1e-6, atol=1e-9)
    if k:
        assert not torch.allclose(ahead["0.weight"], critic[0].weight)


@pytest.mark.parametrize("moved", [0, 3])
@pytest.mark.usefixtures("float64")
def test_the_generator_s_gradient_passes_through_the_steps(moved: int) -> None:
    made = unrolled(1, moved)
    _, slope = made.slopes("generator")

    def loss(points: Tensor) -> float:
        # By torch.optim.Adam on a copy: no code of the model's own.
        copy = deepcopy(made.model.discriminator)
        adam = torch.optim.Adam(copy.parameters(), 0.05, (0.5, 0.999))
        adam.load_state_dict(deepcopy(made.model.optimisers["discriminator"].state_dict()))
        adam.zero_grad()
        (softplus(-copy(made.batch.real)).mean() + softplus(copy(points)).mean()).backward()
        adam.step()
        return -float((softplus(-copy(made.batch.real)).mean() + softplus(copy(points)).mean()).detach())

    points, eps = made.model.generator.points.detach(), 1e-5
    for i in range(N):
        for j in range(2):
            step = torch.zeros_like(points)
            step[i, j] = eps
            difference = (loss(points + step) - loss(points - step)) / (2 * eps)
            assert float(slope[i, j]) == pytest.approx(difference, rel=1e-3, abs=1e-6)
    # Adam's first step is of the rate's size whatever the slope, so only later ones depend on the fakes.
    if not moved:
        return
    # The gradient at the same weights ahead, held fixed, is another.
    ahead = {
        name: weight.detach()
        for name, weight in made.model.unrolled(made.batch.real, points).items()  # type: ignore[operator]
    }
    moving = points.clone().requires_grad_(True)
    fixed = -softplus(functional_call(made.model.discriminator, ahead, (moving,))).mean()
    assert not torch.allclose(torch.autograd.grad(fixed, moving)[0], slope, rtol=0.01)
    assert not torch.allclose(unrolled(0, moved).slopes("generator")[1], slope, rtol=0.01)


def test_looking_ahead_moves_no_weight() -> None:
    made = unrolled(3, 1)
    before = deepcopy(made.model.discriminator.state_dict()), deepcopy(made.model.optimisers["discriminator"].state)
    made.slopes("generator")
    for name, weight in made.model.discriminator.state_dict().items():
        assert torch.equal(weight, before[0][name])
    for weight, kept in zip(made.model.optimisers["discriminator"].state.values(), before[1].values(), strict=True):
        assert all(torch.equal(weight[key], kept[key]) for key in kept)


def test_unrolling_wants_adam() -> None:
    with pytest.raises(GanevalError, match=r"unrolled .* Adam .* rmsprop"):
        state_of("unrolled", "ring8", optimiser="rmsprop")


def test_mad_gan_wants_samples_for_each_generator() -> None:
    with pytest.raises(GanevalError, match="generators is 9 and batch_size 16"):
        state_of("mad_gan", "ring8", generators=9)


# Recipes

RECIPES = {
    "wgan": {"optimiser": "rmsprop", "learning_rate": 5e-5, "critic_steps": 5, "clip": 0.01, "warm_up": 100},
    "wgan_gp": {"learning_rate": 1e-4, "beta1": 0.5, "beta2": 0.9, "critic_steps": 5, "penalty_weight": 10},
    "dcgan": {"optimiser": "adam", "learning_rate": 2e-4, "beta1": 0.5, "latent_dim": 100},
    "lsgan": {"optimiser": "adam", "learning_rate": 2e-4, "beta1": 0.5},
    "dragan": {"learning_rate": 1e-4, "beta1": 0.5, "penalty_weight": 10},
    "infogan": {
        "generator_learning_rate": 1e-3, "learning_rate": 2e-4, "batch_size": 128, "latent_dim": 62, "codes": 10,
        "continuous": 2, "info_weight": 1,
    },
    "ebgan": {"pull_away_weight": 0.1},
    "unrolled": {"unrolled_steps": 5},
}  # fmt: skip


@pytest.mark.parametrize("model", RECIPES)
def test_a_recipe_is_the_published_one(model: str) -> None:
    recipe = BASELINES[model].fn.recipe
    assert {key: getattr(recipe, key) for key in RECIPES[model]} == RECIPES[model]
