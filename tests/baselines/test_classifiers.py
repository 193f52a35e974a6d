"""The reference classifiers, MultiMNIST, and trained classifiers as extractors. No real data but in the slow tests."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from ganeval_baselines import train as harness
from ganeval_baselines.checkpoint import State
from ganeval_baselines.classifiers.base import Classifier, ClassifierRecipe, held_out, multi_hot
from ganeval_baselines.data import Batch, Images, load
from ganeval_baselines.multi_mnist import MultiMNIST, Pairs
from ganeval_baselines.plan import Run, plan
from ganeval_baselines.shifts import shifted
from ganeval_baselines.train import build, train
from torch import Tensor, nn

from ganeval.errors import GanevalError, UnobtainableError
from ganeval.extractors import load_extractor
from ganeval.files import sha256_file
from ganeval.images import open_images
from ganeval.registry import BASELINES, EXTRACTORS, get_baseline, load_plugins

load_plugins()
NAMES = [name for name, row in BASELINES.items() if row.kind == "classifier"]
# CapsNet's tests need its code, not its size; 35 M parameters are not for the default tests.
SMALL = {"capsnet": {"channels": "16", "capsules": "4"}}
# Dropout on the maps and a global average: slow to begin.
STEPS = {"nin_small": 120}
EACH = [pytest.param(name, marks=[pytest.mark.slow] if name == "caps_cnn" else []) for name in NAMES]


def blank(side: int = 28, channels: int = 1) -> SimpleNamespace:
    return SimpleNamespace(shape=(channels, side, side), classes=10)


def network(name: str, side: int = 28, channels: int = 1) -> Classifier:
    torch.manual_seed(0)
    kind = get_baseline(name).fn
    return kind(blank(side, channels), kind.recipe)


def parameters(name: str, side: int) -> int:
    return sum(weight.numel() for weight in network(name, side).parameters())


def templates(n: int = 60, side: int = 28) -> Images:
    """Ten blurred patterns with noise: what a classifier of digits learns in a moment."""
    random = torch.Generator().manual_seed(0)
    coarse = torch.rand(10, 1, 7, 7, generator=random).round()
    patterns = nn.functional.interpolate(coarse, (side, side))
    labels = torch.arange(n) % 10
    noisy = (0.8 * patterns[labels] + 0.2 * torch.rand(n, 1, side, side, generator=random)) * 255
    pixels = noisy.to(torch.uint8)
    opened = replace(open_images(pixels.expand(-1, 3, -1, -1)), labels=labels)
    return Images("templates", pixels, labels, tuple("0123456789"), "0" * 64, opened)


def run(name: str, steps: int, batch: int, **changes: str) -> Run:
    settings = {"batch_size": str(batch), **SMALL.get(name, {}), **changes}
    return plan(name, templates(), 0, steps * batch, settings)


class Readout(Classifier):
    """Its logits are the first pixels of the first row."""

    def build(self) -> None:
        self.dropout = nn.Dropout(0.5)

    def logits(self, x: Tensor) -> Tensor:
        return self.dropout(x[:, 0, 0, : self.classes])


def readout(logits: list[list[float]]) -> tuple[Readout, Tensor]:
    data = SimpleNamespace(shape=(1, 28, 28), classes=len(logits[0]))
    x = torch.zeros(len(logits), 1, 28, 28)
    x[:, 0, 0, : len(logits[0])] = torch.tensor(logits)
    return Readout(data, ClassifierRecipe()), x


def test_sizes_are_the_papers() -> None:
    assert parameters("lenet", 28) == parameters("lenet", 32) == 61_706
    assert parameters("caps_cnn", 28) == 35_445_522  # 35.4 M
    assert parameters("caps_cnn", 36) == 24_563_978  # 24.56 M


def test_lenets_maps_are_those_of_the_paper() -> None:
    shapes = []
    lenet = network("lenet")
    for layer in lenet.trunk:
        layer.register_forward_hook(lambda *call: shapes.append(tuple(call[2].shape[1:])))
    assert lenet.features(torch.zeros(1, 1, 28, 28)).shape == (1, 84)
    sizes = [shape for shape in shapes if len(shape) == 3]
    assert list(dict.fromkeys(sizes)) == [(1, 32, 32), (6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5)]


def test_lenet_pads_with_the_background() -> None:
    lenet = network("lenet").eval()
    wide = network("lenet", 32).eval()
    wide.load_state_dict({**lenet.state_dict(), "geometry": wide.geometry})
    x = 2 * torch.rand(2, 1, 28, 28) - 1
    canvas = torch.full((2, 1, 32, 32), -1.0)
    canvas[..., 2:30, 2:30] = x
    assert torch.equal(lenet.logits(x), wide.logits(canvas))


@pytest.mark.parametrize("side", [28, 32, 36])
@pytest.mark.parametrize("name", EACH)
def test_every_size_and_colour_has_a_network(name: str, side: int) -> None:
    for channels in (1, 3):
        classifier = network(name, side, channels).eval()
        x = torch.zeros(2, channels, side, side)
        features = classifier.features(x)
        assert features.ndim == 2
        assert torch.equal(classifier.classify(features), classifier.logits(x))
        assert classifier.logits(x).shape == (2, 10)


def test_other_sizes_are_refused() -> None:
    with pytest.raises(GanevalError, match="28x28, 32x32 and 36x36, not 8x8"):
        plan("lenet", load("digits"), 0, 100)


@pytest.mark.parametrize("name", EACH)
def test_it_learns(name: str) -> None:
    """The loss falls below that of knowing nothing, ln 10, and that of the first weights."""
    begun = run(name, STEPS.get(name, 40), 10, shift="0", decay="none")
    everything = begun.data.batch(0, 0, 60)
    state = build(begun, torch.device("cpu"))

    def loss() -> float:
        state.model.eval()
        with torch.no_grad():
            return float(torch.stack(list(state.model.terms(*everything).values())).sum())

    before = loss()
    for step in range(begun.steps):
        state.step = step
        harness.one_step(state, begun, {}, torch.device("cpu"))
    assert loss() < 0.98 * min(before, math.log(10))


@pytest.mark.parametrize("name", EACH)
def test_a_run_that_was_cut_off_ends_in_the_same_weights(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(run(name, 6, 4), tmp_path / "whole").model.state_dict()

    def cut(state: State) -> dict[str, float]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(harness, "CHECKPOINT_SECONDS", -1.0)
        with pytest.raises(KeyboardInterrupt):
            train(run(name, 6, 4), tmp_path / "cut", look=cut, look_every=3)
    resumed = train(run(name, 6, 4), tmp_path / "cut").model.state_dict()
    assert all(torch.equal(resumed[key], whole[key]) for key in whole)


def test_shifts_differ_by_image() -> None:
    x = torch.full((4000, 1, 9, 9), -1.0)
    x[:, 0, 4, 4] = torch.arange(4000) / 4000
    torch.manual_seed(0)
    moved = shifted(x, 2)
    assert moved.shape == x.shape
    places = moved.flatten(1).argmax(1)
    assert torch.equal(moved.flatten(1).amax(1), x[:, 0, 4, 4])
    counts = Counter((int(place) // 9 - 4, int(place) % 9 - 4) for place in places)
    assert set(counts) == {(down, across) for down in range(-2, 3) for across in range(-2, 3)}
    # 4000 draws of 25 equally likely places: 160 each, with a standard deviation of 12.4.
    assert max(abs(count - 160) for count in counts.values()) < 4.5 * 12.4


def test_a_shift_brings_in_background_and_loses_the_other_margin() -> None:
    x = torch.ones(50, 2, 6, 6)
    torch.manual_seed(0)
    inside = (shifted(x, 3) == 1).sum((1, 2, 3)) // 2
    assert set(inside.tolist()) <= {rows * columns for rows in range(3, 7) for columns in range(3, 7)}
    assert set(shifted(x, 3).unique().tolist()) == {-1.0, 1.0}


def test_no_shift_is_the_image_itself() -> None:
    x = torch.rand(2, 1, 9, 9)
    assert shifted(x, 0) is x


def test_training_shifts_and_testing_does_not() -> None:
    classifier, x = readout([[1.0, 0.0, 0.0]] * 40)
    assert classifier.errors(x, torch.zeros(40, dtype=torch.int64)) == 0
    batch = Batch(x, torch.zeros(40, dtype=torch.int64))
    classifier.eval()
    assert classifier.loss("classifier", batch)["cross_entropy"] > classifier.terms(*batch)["cross_entropy"] + 0.05


def test_errors_counts_the_wrong_ones_and_leaves_the_mode() -> None:
    classifier, x = readout([[0.1, 0.9, 0.0], [0.5, 0.4, 0.1], [0.0, 0.1, 0.2], [3.0, 1.0, 2.0]])
    assert classifier.errors(x, torch.tensor([1, 0, 0, 2])) == 0.5
    assert classifier.training


def test_errors_of_pairs_wants_both_in_any_order() -> None:
    classifier, x = readout([[0.1, 0.9, 0.8], [0.1, 0.9, 0.8], [0.1, 0.9, 0.8]])
    labels = torch.tensor([[1, 2], [2, 1], [0, 1]])
    assert math.isclose(classifier.errors(x, labels), 1 / 3)


def test_the_loss_of_pairs_is_the_summed_binary_cross_entropy() -> None:
    classifier, x = readout([[2.0, -1.0, 0.5]])
    classifier.eval()
    p = torch.tensor([2.0, -1.0, 0.5]).sigmoid()
    want = -(p[0].log() + (1 - p[1]).log() + p[2].log())
    assert torch.allclose(classifier.terms(x, torch.tensor([[2, 0]]))["cross_entropy"], want)


def test_multi_hot() -> None:
    assert multi_hot(torch.tensor([2, 0]), 3).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert multi_hot(torch.tensor([[2, 0]]), 3).tolist() == [[1, 0, 1]]


def uneven() -> Pairs:
    labels = torch.tensor([0, 1, 1, 0, 2, 1, 1])
    return Pairs(torch.zeros(7, 1, 28, 28, dtype=torch.uint8), labels)


def test_partners_are_of_other_classes_and_equally_likely() -> None:
    pairs = uneven()
    random = torch.Generator().manual_seed(0)
    for first in range(7):
        partners = pairs.partners(torch.full((2000,), first), random)
        counts = Counter(partners.tolist())
        others = [row for row in range(7) if pairs.labels[row] != pairs.labels[first]]
        assert sorted(counts) == others
        n = 2000 / len(others)
        assert max(abs(count - n) for count in counts.values()) < 4.5 * math.sqrt(n)


def test_two_digits_merge_by_their_maximum() -> None:
    digits = torch.stack([torch.full((1, 28, 28), 100), torch.full((1, 28, 28), 200)]).to(torch.uint8)
    real, labels = Pairs(digits, torch.tensor([0, 1])).draw(torch.zeros(400).long(), torch.Generator().manual_seed(0))
    assert real.shape == (400, 1, 36, 36)
    assert labels.tolist() == [[0, 1]] * 400
    levels = ((real + 1) * 127.5).round().int()
    assert set(levels.unique().tolist()) == {0, 100, 200}
    # The brighter digit hides the other, so it is whole wherever it lies: up to 4 pixels from the middle.
    bright = (levels == 200)[:, 0]
    assert bright.sum((1, 2)).eq(28 * 28).all()
    tops, lefts = bright.any(2).int().argmax(1), bright.any(1).int().argmax(1)
    assert set(tops.tolist()) == set(lefts.tolist()) == set(range(9))
    assert len(set(zip(tops.tolist(), lefts.tolist(), strict=True))) > 70
    assert (levels == 100).any(3).any(2).float().mean() > 0.9


def multi() -> MultiMNIST:
    base = templates(50)
    return MultiMNIST("multi_mnist", base.pixels, base.labels, base.class_names, base.sha256, base.held_out)


def test_batches_of_pairs_are_functions_of_seed_and_step() -> None:
    first, again, later, other = (multi().batch(*at, 20) for at in ((0, 3), (0, 3), (0, 4), (1, 3)))
    assert torch.equal(first.real, again.real)
    assert torch.equal(first.labels, again.labels)
    assert not torch.equal(first.real, later.real)
    assert not torch.equal(first.real, other.real)
    assert (first.labels[:, 0] != first.labels[:, 1]).all()


def test_an_epoch_of_pairs_shows_every_digit_once_as_the_first() -> None:
    labels = torch.cat([multi().batch(0, step, 10).labels[:, 0] for step in range(5)])
    assert labels.bincount().tolist() == [5] * 10


def test_the_test_pairs_are_fixed() -> None:
    pairs = held_out(multi())
    assert pairs.real.shape == (50, 1, 36, 36)
    assert torch.equal(pairs.real, held_out(multi()).real)
    assert torch.equal(pairs.labels[:, 0], multi().labels)


@pytest.mark.parametrize("name", ["lenet", "capsnet_small"])
def test_pairs_can_be_learnt_from(name: str) -> None:
    begun = plan(name, multi(), 0, 12, {"batch_size": "4"})
    assert begun.config()["network"] == "own"
    state = build(begun, torch.device("cpu"))
    terms = state.model.loss("classifier", begun.data.batch(0, 0, 4))
    assert torch.stack(list(terms.values())).isfinite().all()


def test_held_out_images_are_as_those_of_training() -> None:
    data = templates()
    real, labels = held_out(data)
    assert torch.equal(real, data.pixels.float() / 127.5 - 1)
    assert torch.equal(labels, data.labels)


def test_the_list_says_which_file_a_classifier_needs_as_an_extractor() -> None:
    load_plugins()
    summary = EXTRACTORS["classifier:lenet"].summary
    assert summary == "LeNet-5: needs --weights, the checkpoint.pt that `ganeval train lenet` makes"


def test_every_classifier_is_an_extractor_too() -> None:
    assert len(NAMES) == 10
    for name in NAMES:
        assert f"classifier:{name}" in EXTRACTORS
        assert BASELINES[name].labels
        assert not BASELINES[name].points


def test_without_weights_it_says_how_to_train_it() -> None:
    with pytest.raises(UnobtainableError, match="ganeval train lenet --data mnist") as error:
        load_extractor("classifier:lenet")
    assert "--weights runs/mnist/lenet-seed0/checkpoint.pt" in str(error.value)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[State, Path]:
    folder = tmp_path_factory.mktemp("lenet")
    return train(run("lenet", 5, 4), folder), folder / "checkpoint.pt"


def test_a_checkpoint_is_an_extractor(trained: tuple[State, Path]) -> None:
    state, path = trained
    extractor = load_extractor("classifier:lenet", weights=path)
    data = templates()
    pooled, logits = extractor(extractor.resize(data.pixels.expand(-1, 3, -1, -1)))
    state.model.eval()
    real = data.pixels.float() / 127.5 - 1
    assert torch.allclose(pooled, state.model.features(real), atol=1e-5)
    assert torch.allclose(logits, state.model.logits(real), atol=1e-5)
    assert pooled.shape == (60, 84)
    assert extractor.weights_sha256 == sha256_file(path)
    assert sha256_file(path)[:8] in extractor.fingerprint
    assert not extractor.verified
    assert not pooled.requires_grad


def test_colour_becomes_luma_at_the_classifiers_size(trained: tuple[State, Path]) -> None:
    extractor = load_extractor("classifier:lenet", weights=trained[1])
    colours = torch.tensor([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]], dtype=torch.uint8)
    inputs = extractor.resize(colours.view(4, 3, 1, 1).expand(-1, -1, 50, 40))
    assert inputs.shape == (4, 1, 28, 28)
    assert torch.allclose((inputs.mean((1, 2, 3)) + 1) / 2, torch.tensor([0.299, 0.587, 0.114, 1.0]), atol=1e-5)


def test_settings_of_a_run_come_back_with_its_checkpoint(tmp_path: Path) -> None:
    changes = {"channels": "8", "capsules": "2", "routing": "2", "reconstruction": "0"}
    train(run("capsnet", 2, 2, **changes), tmp_path)
    extractor = load_extractor("classifier:capsnet", weights=tmp_path / "checkpoint.pt")
    assert extractor.network.settings.routing == 2
    assert extractor(torch.zeros(1, 1, 28, 28))[0].shape == (1, 160)


def test_the_moving_average_is_taken_where_there_is_one(tmp_path: Path) -> None:
    state = train(run("lenet", 5, 4, ema="0.9"), tmp_path)
    extractor = load_extractor("classifier:lenet", weights=tmp_path / "checkpoint.pt")
    assert torch.equal(extractor.network.head.weight, state.sampler.head.weight)
    assert not torch.equal(extractor.network.head.weight, state.model.head.weight)


def test_another_models_checkpoint_is_refused(trained: tuple[State, Path]) -> None:
    with pytest.raises(GanevalError, match="a checkpoint of lenet, not of cnn"):
        load_extractor("classifier:cnn", weights=trained[1])


def test_what_is_no_checkpoint_is_refused(trained: tuple[State, Path], tmp_path: Path) -> None:
    plain, half, flipped, gone = (tmp_path / f"{name}.pt" for name in ("plain", "half", "flipped", "gone"))
    torch.save(trained[0].model.state_dict(), plain)
    whole = trained[1].read_bytes()
    half.write_bytes(whole[:2000])
    # One bit of a weight, of which torch.load takes no notice.
    at = len(whole) // 3
    flipped.write_bytes(whole[:at] + bytes([whole[at] ^ 64]) + whole[at + 1 :])
    for path, reason in ((plain, "no checkpoint of `ganeval train`"), (half, "no whole checkpoint"),
                         (flipped, "no whole checkpoint"), (gone, "no weights file")):  # fmt: skip
        with pytest.raises(GanevalError, match=reason):
            load_extractor("classifier:lenet", weights=path)


@pytest.mark.slow
def test_multi_mnist_of_real_digits(data_root: Path) -> None:
    data = load("multi_mnist", data_root=data_root)
    assert data.shape == (1, 36, 36)
    assert data.classes == 10
    pairs = held_out(data)
    assert len(pairs.real) == 10_000
    assert (pairs.labels[:, 0] != pairs.labels[:, 1]).all()
