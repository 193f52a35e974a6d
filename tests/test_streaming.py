"""Metrics a batch at a time: the numbers of all features at once, over batches, merges, saves and processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ganeval
from ganeval import streaming
from ganeval.errors import GanevalError
from ganeval.images import batches, open_images
from ganeval.metrics import fid, inception_score, mode_score
from ganeval.numerics.moments import Running, moments
from ganeval.reference import write_statistics
from ganeval.types import Features, Moments

RANDOM = torch.Generator().manual_seed(0)
X = torch.randn(300, 6, generator=RANDOM) * torch.arange(1.0, 7) + 2
Y = torch.randn(400, 6, generator=RANDOM)
TRUE = fid(X.double(), Y.double()).value


def pixels(source: str, n: int) -> torch.Tensor:
    images = open_images(source)
    return torch.stack([images[i].pixels for i in range(n)])


@pytest.fixture(scope="module")
def images() -> tuple[torch.Tensor, torch.Tensor]:
    """uint8 digits of the train and of the test split."""
    return pixels("digits:train", 300), pixels("digits:test", 250)


@pytest.fixture(scope="module")
def features(images: tuple[torch.Tensor, torch.Tensor]) -> list[Features]:
    return [ganeval.extract(side, "classifier:digits", cache=False) for side in images]


def fed(fake: torch.Tensor, real: torch.Tensor, size: int, extractor: str | None = None) -> ganeval.Stream:
    stream = ganeval.Stream(extractor)
    for batch in real.split(size):
        stream.update(batch, real=True)
    for batch in fake.split(size):
        stream.update(batch, real=False)
    return stream


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_fid_is_that_of_all_features_at_once(size: int) -> None:
    found = fed(X, Y, size).compute()["fid"]
    assert found.value == pytest.approx(TRUE, rel=1e-12)
    assert (found.n_fake, found.n_real) == (300, 400)


def test_a_mean_far_from_zero_costs_no_digits() -> None:
    """Sums of squares, as others keep, would lose all sixteen of them here."""
    far, near = X.double() + 1e8, X.double()
    running = Running.of(far[:100]) + Running.of(far[100:])
    assert torch.allclose(running.moments().cov, moments(near).cov, rtol=1e-6)


def test_class_scores_are_those_of_all_images(
    images: tuple[torch.Tensor, torch.Tensor], features: list[Features]
) -> None:
    found = fed(*images, 64, "classifier:digits").compute()
    fake, real = (side.logits for side in features)
    expected = {
        "fid": fid(features[0].pooled, features[1].pooled),
        "inception_score": inception_score(fake, splits=1),
        "mode_score": mode_score(fake, real),
    }
    for name, estimate in expected.items():
        assert found[name].value == pytest.approx(estimate.value, rel=1e-5), name
        if name != "fid":
            assert found[name].std_error == pytest.approx(estimate.std_error, rel=1e-5), name


def test_a_merged_stream_is_one_that_saw_all() -> None:
    one, two = fed(X[:90], Y[:10], 32), fed(X[90:], Y[10:], 32)
    one.merge(two)
    assert one.compute()["fid"].value == pytest.approx(TRUE, rel=1e-12)


def test_a_saved_stream_goes_on(tmp_path: Path, images: tuple[torch.Tensor, torch.Tensor]) -> None:
    stream = fed(images[0][:100], images[1], 50, "classifier:digits")
    torch.save(stream.state_dict(), tmp_path / "stream.pt")
    again = ganeval.Stream("classifier:digits")
    again.load_state_dict(torch.load(tmp_path / "stream.pt", weights_only=True))
    for each in (stream, again):
        each.update(images[0][100:], real=False)
    assert again.compute() == stream.compute()


def test_a_state_that_was_cast_is_float64_again_and_half_a_state_is_refused() -> None:
    stream, again = fed(X, Y, 100), ganeval.Stream(None)
    state = stream.state_dict()
    again.load_state_dict({name: part.float() if part.is_floating_point() else part for name, part in state.items()})
    for each in (stream, again):
        each.update(Y, real=False)
    assert again.compute()["fid"].value == pytest.approx(stream.compute()["fid"].value, rel=1e-3)
    del state["fake.pooled.scatter"]
    with pytest.raises(GanevalError, match=r"no fake\.pooled\.scatter"):
        again.load_state_dict(state)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("fake.pooled.scatter", torch.zeros(6, 5), "fake.pooled"),
        ("fake.pooled.scatter", torch.full((6, 6), torch.nan), "fake.pooled"),
        ("fake.pooled.mean", torch.zeros(6, 1), "fake.pooled"),
        ("real.pooled.mean", torch.full((6,), torch.inf), "real.pooled"),
        ("real.pooled.mean", None, "real.pooled"),
        ("fake.pooled.n", torch.tensor(-1), "fake.pooled"),
        ("fake.pooled.n", torch.tensor(1.5), "fake.pooled"),
        ("fake.pooled.n", torch.tensor(torch.nan), "fake.pooled"),
        ("fake.pooled.n", torch.tensor([1, 2]), "fake.pooled"),
        ("fingerprint", torch.tensor([999]), "what made it"),
        ("fingerprint", 5, "what made it"),
        (None, [1, 2], "a list"),
    ],
)
def test_a_state_that_can_not_be_is_refused_and_nothing_is_lost(key: str | None, value: Any, said: str) -> None:
    stream = fed(X, Y, 100)
    with pytest.raises(GanevalError, match=said) as caught:
        stream.load_state_dict({**stream.state_dict(), key: value} if key else value)
    assert "\n" not in str(caught.value)
    assert stream.compute()["fid"].value == pytest.approx(TRUE, rel=1e-12)


def test_a_state_of_two_widths_is_refused() -> None:
    narrow = {key: value for key, value in fed(X[:, :5], Y[:, :5], 100).state_dict().items() if "real" in key}
    with pytest.raises(GanevalError, match="differ in width"):
        ganeval.Stream(None).load_state_dict({**fed(X, Y, 100).state_dict(), **narrow})


def test_features_in_place_of_real_images() -> None:
    stream = ganeval.Stream(None, reference=Features(Y, None, "somebody's"))
    stream.update(X, real=False)
    assert stream.compute()["fid"].value == pytest.approx(TRUE, rel=1e-7)


@pytest.mark.parametrize(
    ("reference", "said"),
    [("digits:test", "digits:test"), (X, "Tensor"), (5, "int"), (Features(Y / 0, None, "x"), "reference has NaN")],
)
def test_what_is_no_reference_is_named(reference: Any, said: str) -> None:
    with pytest.raises(GanevalError, match=said):
        ganeval.Stream(None, reference=reference)


def test_one_image_is_counted() -> None:
    with pytest.raises(GanevalError, match="2 generated images, got 1"):
        fed(X[:1], Y, 10).compute()
    with pytest.raises(GanevalError, match=r"fid needs 2 real images or a reference, got 1; .*real=True"):
        fed(X, Y[:1], 10).compute()


@pytest.mark.parametrize(
    "batch", [X[:40].numpy()[::-1], X[:40].numpy().astype(">f4"), np.broadcast_to(X[:40].numpy(), (40, X.shape[1]))]
)
def test_arrays_of_any_kind_are_batches(batch: Any) -> None:
    stream = ganeval.Stream(None)
    stream.update(batch, real=False)
    stream.update(Y, real=True)
    assert stream.compute()["fid"].n_fake == 40


def test_reset_keeps_the_real_images_unless_told() -> None:
    stream = fed(X, Y, 100)
    stream.reset()
    stream.update(X, real=False)
    assert stream.compute()["fid"].value == pytest.approx(TRUE, rel=1e-12)
    stream.reset(real=True)
    stream.update(X, real=False)
    with pytest.raises(GanevalError, match="real images or a reference, got 0"):
        stream.compute()


def test_a_statistics_file_in_place_of_real_images(tmp_path: Path) -> None:
    write_statistics(tmp_path / "stats.npz", [Y.double()])
    stream = ganeval.Stream(None, reference=tmp_path / "stats.npz")
    stream.update(X.numpy(), real=False)
    assert stream.compute()["fid"].value == pytest.approx(TRUE, rel=1e-12)


def test_a_reference_of_another_extractor_is_refused() -> None:
    other = Moments(torch.zeros(4), torch.eye(4), 10, "inception/other")
    with pytest.raises(GanevalError, match="inception/other"):
        ganeval.Stream("classifier:digits", reference=other)


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        (torch.rand(2, 3, 8, 8), r"look like \[0, 1\]: \(x \* 255\)"),
        (torch.linspace(-1, 1, 384).view(2, 3, 8, 8), r"look like \[-1, 1\]: give \(\(x \+ 1\) \* 127.5\)"),
        (torch.arange(192).view(1, 3, 8, 8), r"look like \[0, 255\]: images.to\(torch.uint8\)"),
        (torch.zeros(3, 8, 8, dtype=torch.uint8), r"images\[None\]"),
        (torch.zeros(2, 4, 8, 8, dtype=torch.uint8), r"RGBA: images\[:, :3\]"),
        (torch.zeros(2, 8, 8, 3, dtype=torch.uint8), r"\(B, 3, H, W\)"),
        (torch.zeros(3, 8, 8, dtype=torch.uint8), r"\(B, 3, H, W\)"),
        ([torch.zeros(2, 3, 8, 8), torch.zeros(2)], "images, _ = batch"),
        ({"image": torch.zeros(2, 3, 8, 8)}, "got a dict"),
        (torch.zeros(2, 3, 8, 0, dtype=torch.uint8), r"\(B, 3, H, W\)"),
        (torch.tensor(5, dtype=torch.uint8), r"\(B, 3, H, W\)"),
        (torch.zeros(2, 3, 8, 8, dtype=torch.uint8).to_sparse(), "dense"),
        (torch.zeros(2, 3, 8, 8, dtype=torch.uint8, device="meta"), "dense"),
        (np.array(["a"]), "array of <U1"),
    ],
)
def test_a_batch_that_is_none_is_named(batch: torch.Tensor, said: str) -> None:
    with pytest.raises(GanevalError, match=said):
        ganeval.Stream("classifier:digits").update(batch, real=True)


def test_a_ragged_batch_is_named() -> None:
    # Made here: it imports much of torch, which the processes of other tests need not.
    ragged = torch.nested.nested_tensor([torch.zeros(3, 8, 8)] * 2, layout=torch.jagged)
    with pytest.raises(GanevalError, match="dense"):
        ganeval.Stream("classifier:digits").update(ragged, real=True)


def test_features_that_can_not_be_added_are_named() -> None:
    stream = fed(X, Y, 100)
    with pytest.raises(GanevalError, match="dense"):
        stream.update(X.to_sparse(), real=False)
    with pytest.raises(GanevalError, match="5 features; those before it had 6"):
        stream.update(X[:, :5], real=False)
    with pytest.raises(GanevalError, match="NaN"):
        stream.update(np.full((2, 6), np.nan), real=False)
    assert stream.compute()["fid"].value == pytest.approx(TRUE, rel=1e-12)
    with pytest.raises(GanevalError, match="2 generated images, got 0"):
        ganeval.Stream(None).compute()
    for real in (None, "fake"):
        with pytest.raises(GanevalError, match=f"real={real!r}; give True for real images, False for generated ones"):
            stream.update(X, real=real)


@pytest.mark.parametrize("dark", ["features", "logits"])
def test_a_batch_of_which_the_network_makes_no_numbers_is_refused_and_not_added(dark: str) -> None:
    def network(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        rows = images.float().flatten(1)[:, :4]
        spoiled = rows / rows.amax(1, keepdim=True)  # 0 / 0 of a black image
        return (spoiled, rows) if dark == "features" else (rows, spoiled)

    images = torch.randint(1, 256, (60, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    stream, black = ganeval.Stream(network), images.clone()
    black[7] = 0
    for real in (True, False):
        stream.update(images[real:], real=real)
        with pytest.raises(GanevalError, match=r"the batch.* has NaN or infinity in 1 of 60 rows; look for broken"):
            stream.update(black, real=real)
    assert stream.compute()["fid"].n_fake == 60


RANK = """
import sys
import torch
import torch.distributed as dist
import ganeval
X, Y = torch.load(sys.argv[4])
rank, world = int(sys.argv[1]), int(sys.argv[2])
dist.init_process_group("gloo", init_method="file://" + sys.argv[3], rank=rank, world_size=world)
stream = ganeval.Stream(None)
# The last rank has no fake image at all, and the real ones do not divide evenly.
if rank < world - 1:
    stream.update(X[rank :: world - 1], real=False)
stream.update(Y[rank::world], real=True)
print(repr(stream.compute()["fid"].value))
dist.destroy_process_group()
"""


@pytest.mark.parametrize("world", [2, 3])
def test_ranks_come_to_what_one_process_comes_to(world: int, tmp_path: Path) -> None:
    torch.save((X, Y), tmp_path / "sets")
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", RANK, str(rank), str(world), str(tmp_path / "meet"), str(tmp_path / "sets")],
            env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, text=True,
        )
        for rank in range(world)
    ]  # fmt: skip
    # What comes before it is gloo's.
    values = [float(process.communicate(timeout=120)[0].split()[-1]) for process in ranks]
    assert len(set(values)) == 1, "every rank has the same number"
    assert values[0] == pytest.approx(TRUE, rel=1e-12)


def test_images_of_zeros_and_ones_are_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    """What a cast makes of floats in [0, 1]."""
    batches._say_dark.cache_clear()
    stream = ganeval.Stream("pixels:2")
    bright = torch.full((4, 3, 8, 8), 2, dtype=torch.uint8)
    stream.update(bright, real=True)
    assert not caplog.records
    for _ in range(2):
        stream.update(bright // 2, real=False)
    assert [record.getMessage() for record in caplog.records] == [
        "a batch of images holds 0 and 1 alone; of floats x in [0, 1] the images are (x * 255).round()"
    ]


def test_real_images_beside_a_reference_are_refused() -> None:
    stream = ganeval.Stream(None, reference=Features(Y, None, "mine"))
    with pytest.raises(GanevalError, match="this stream has its reference"):
        stream.update(Y, real=True)


def test_a_reference_of_repeated_images_is_measured_to_the_digit() -> None:
    random = np.random.RandomState(0)
    few = torch.from_numpy(random.randn(20, 64)[random.randint(0, 20, 800)]).float()
    fake = torch.from_numpy(random.randn(800, 64)).float()
    stream = ganeval.Stream(None, reference=Features(few, None, "mine"))
    stream.update(fake, real=False)
    assert stream.compute()["fid"].value == pytest.approx(fid(fake.double(), few.double()).value, rel=1e-7)


def test_a_class_that_no_image_has_adds_nothing() -> None:
    logits = torch.from_numpy(np.random.RandomState(0).standard_normal((80, 3)))
    padded = torch.cat([logits, torch.full((80, 1), -1000.0)], 1)
    numbers = []
    for columns in (logits, padded):
        stream = ganeval.Stream(None)
        for part, is_real in ((columns[:40], False), (columns[40:], True)):
            stream._set(is_real, streaming.Seen.of(part, part))
        numbers.append([(stream.compute()[name].value, stream.compute()[name].std_error)
                        for name in ("inception_score", "mode_score")])  # fmt: skip
    assert numbers[1] == [pytest.approx(pair, rel=1e-12) for pair in numbers[0]]


def test_a_class_that_no_real_image_can_have_leaves_the_mode_score_without_an_error() -> None:
    fake = torch.tensor([[0.0, -1000.0], [-1000.0, 0.0]]).repeat(20, 1)
    real = torch.tensor([[0.0, -1000.0]]).repeat(40, 1)
    whole = mode_score(fake, real)
    stream = ganeval.Stream(None)
    for logits, is_real in ((fake, False), (real, True)):
        stream._set(is_real, streaming.Seen.of(logits, logits))
    found = stream.compute()["mode_score"]
    assert (found.value, found.std_error) == (whole.value, whole.std_error) == (0, None)
