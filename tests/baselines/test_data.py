"""Training data: the mixtures' modes, the order of rows, batches as functions of (seed, step), folders."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ganeval_baselines import data as datasets
from ganeval_baselines.data import Images, grid25, ring8, rng, rows, stream, to_uint8
from PIL import Image

from ganeval.errors import GanevalError, UnobtainableError
from tests.baselines.conftest import MODELS, data_of, home_of, run_of


@pytest.mark.parametrize("name", ["ring8", "grid25", "multi_mnist"])
def test_what_is_drawn_in_a_size_of_its_own_takes_no_other(name: str) -> None:
    with pytest.raises(GanevalError, match=f"--image-size 32: {name} .*leave it out"):
        datasets.load(name, image_size=32)


@pytest.mark.parametrize("name", ["mnist", "stacked_mnist", "multi_mnist"])
def test_what_is_made_of_mnist_fetches_mnist(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[tuple[str, Path]] = []
    monkeypatch.setattr(datasets, "fetch", lambda *place: fetched.append(place))
    with pytest.raises(UnobtainableError):
        datasets.load(name, data_root=tmp_path, download=True)
    assert fetched == [("mnist", tmp_path)]


def test_ring8_has_eight_modes() -> None:
    # linspace(0, 2 pi, 8), as in the notebook of Metz et al., has seven.
    centres = ring8().centres
    apart = torch.cdist(centres, centres) + 9 * torch.eye(8)
    assert centres.shape == (8, 2)
    assert apart.min(1).values.tolist() == pytest.approx([2 * math.sin(math.pi / 8)] * 8, rel=1e-5)
    assert centres.norm(dim=1).tolist() == pytest.approx([1] * 8)


def test_grid25_is_every_pair_of_five_places() -> None:
    assert set(map(tuple, grid25().centres.tolist())) == set(itertools.product((-4, -2, 0, 2, 4), repeat=2))


@pytest.mark.parametrize("mixture", [ring8(), grid25()], ids=lambda m: m.name)
def test_a_mixture_is_equal_gaussians(mixture: datasets.Mixture) -> None:
    points = mixture.draw(50_000, rng(1))
    apart, mode = torch.cdist(points, mixture.centres).min(1)
    k = len(mixture.centres)
    counts = torch.bincount(mode, minlength=k).double()
    chi2 = float(((counts - 50_000 / k).square() / (50_000 / k)).sum())
    assert abs(chi2 - (k - 1)) < 4 * math.sqrt(2 * (k - 1))
    # |x - c|^2 is 2 spread^2 on average, and within 3 spreads lie 1 - exp(-9/2).
    assert float(apart.square().mean()) == pytest.approx(2 * mixture.spread**2, rel=0.02)
    assert float((apart < 3 * mixture.spread).double().mean()) == pytest.approx(1 - math.exp(-4.5), abs=0.003)


@pytest.mark.parametrize(("n", "size"), [(10, 3), (7, 7), (5, 12), (4, 2)])
def test_an_epoch_covers_each_row_once(n: int, size: int) -> None:
    epochs = 6
    batches = [rows(3, step, size, n) for step in range(n * epochs // size + 1)]
    assert all(len(batch) == size for batch in batches)
    order = torch.cat(batches)
    for epoch in range(n * epochs // n - 1):
        assert sorted(order[epoch * n : (epoch + 1) * n].tolist()) == list(range(n)), epoch


def test_epochs_and_seeds_are_shuffled_anew() -> None:
    first, second = rows(0, 0, 50, 50), rows(0, 1, 50, 50)
    assert not torch.equal(first, second)
    assert not torch.equal(first, rows(1, 0, 50, 50))


@pytest.mark.parametrize("name", ["ring8", "digits"])
def test_a_batch_is_a_function_of_seed_and_step(name: str) -> None:
    data = data_of(name)
    kept = [data.batch(5, step, 16) for step in range(4)]
    # In another order, after other seeds, and with the global generator elsewhere.
    torch.manual_seed(99)
    datasets._shuffle.cache_clear()
    data.batch(6, 2, 16)
    for step in (3, 0, 2, 1):
        assert torch.equal(data.batch(5, step, 16).real, kept[step].real)
    assert not torch.equal(kept[0].real, kept[1].real)
    assert not torch.equal(data.batch(6, 0, 16).real, kept[0].real)


def test_a_batch_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    data_of("ring8").batch(0, 0, 16), data_of("digits").batch(0, 0, 16)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_all_models_of_a_seed_see_the_same_batches() -> None:
    for name in MODELS:
        run = run_of(name, home_of(name), seed=4)
        assert torch.equal(run.data.batch(run.seed, 3, 16).real, data_of(home_of(name)).batch(4, 3, 16).real)


def test_streams_that_are_named_apart_are_apart() -> None:
    assert len({stream(a, b) for a in range(30) for b in range(30)}) == 900
    assert stream(1, 2) != stream(2, 1)


def test_digits_are_the_train_split_alone() -> None:
    data = data_of("digits")
    assert isinstance(data, Images)
    assert (data.shape, data.classes) == ((1, 8, 8), 10)
    held_out = {data.held_out[i].pixels[:1].numpy().tobytes() for i in range(len(data.held_out))}
    assert not held_out & {image.numpy().tobytes() for image in data.pixels}
    assert len(data.pixels) + len(data.held_out) == 1797


def test_images_are_minus_one_to_one_and_back() -> None:
    data = data_of("digits")
    assert isinstance(data, Images)
    batch = data.batch(0, 0, 500)
    assert (float(batch.real.min()), float(batch.real.max())) == (-1, 1)
    levels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_uint8(levels.float() / 127.5 - 1), levels)
    assert to_uint8(torch.tensor([-1.7, 1.7])).tolist() == [0, 255]


def test_labels_go_with_their_images() -> None:
    data = data_of("digits")
    assert isinstance(data, Images)
    assert data.labels is not None
    batch = data.batch(2, 1, 64)
    assert batch.labels is not None
    known = {image.numpy().tobytes(): int(label) for image, label in zip(data.pixels, data.labels, strict=True)}
    found = [known[image.numpy().tobytes()] for image in to_uint8(batch.real)]
    assert found == batch.labels.tolist()


def test_stacked_images_are_three_digits_a_mode() -> None:
    pixels = torch.arange(30, dtype=torch.uint8).view(30, 1, 1, 1).expand(-1, -1, 2, 2).contiguous()
    labels = torch.arange(30) % 10
    data = Images("stacked", pixels, labels, tuple("0123456789"), "", data_of("digits").held_out, stacked=3)
    assert (data.shape, data.classes) == ((3, 2, 2), 1000)
    batch = data.batch(0, 1, 10)
    assert batch.labels is not None
    digits = to_uint8(batch.real)[:, :, 0, 0].long() % 10
    assert batch.labels.tolist() == (100 * digits[:, 0] + 10 * digits[:, 1] + digits[:, 2]).tolist()
    # An epoch is n/3 stacked images, and shows each image once.
    seen = torch.cat([to_uint8(data.batch(0, step, 5).real)[:, :, 0, 0].flatten() for step in range(2)])
    assert sorted(seen.tolist()) == list(range(30))


def images(folder: Path, sizes: list[tuple[int, int]], grey: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(len(str(folder)) + len(sizes))
    for i, (height, width) in enumerate(sizes):
        pixels = random.integers(0, 256, (height, width, 1 if grey else 3), dtype=np.uint8)
        Image.fromarray(np.broadcast_to(pixels, (height, width, 3)).copy()).save(folder / f"{i}.png")
    return folder


def test_a_folder_holds_out_a_tenth_by_content(tmp_path: Path) -> None:
    here = datasets.load(str(images(tmp_path / "a", [(8, 8)] * 40)))
    assert isinstance(here, Images)
    assert (len(here.pixels), len(here.held_out), here.shape, here.classes) == (36, 4, (3, 8, 8), 0)
    # Renamed files stay on their side.
    (tmp_path / "b").mkdir()
    for rank, path in enumerate(sorted((tmp_path / "a").iterdir())):
        path.rename(tmp_path / "b" / f"{99 - rank}.png")
    there = datasets.load(str(tmp_path / "b"))
    assert isinstance(there, Images)
    sides = [{image.numpy().tobytes() for image in data.pixels} for data in (here, there)]
    assert sides[0] == sides[1]


def test_copies_stay_on_one_side(tmp_path: Path) -> None:
    folder = images(tmp_path / "twice", [(8, 8)] * 40)
    for path in list(folder.iterdir()):
        (folder / f"again-{path.name}").write_bytes(path.read_bytes())
    data = datasets.load(str(folder))
    assert isinstance(data, Images)
    trained = {image.numpy().tobytes() for image in data.pixels}
    held = {image.pixels.numpy().tobytes() for image in data.held_out}
    assert (len(trained), len(held), trained & held) == (36, 4, set())
    assert (len(data.pixels), len(data.held_out)) == (72, 8)


def test_labels_need_no_names(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    arrays = {"arr_0": random.integers(0, 256, (50, 8, 8, 3), dtype=np.uint8), "arr_1": np.arange(50) % 3}
    np.savez(tmp_path / "lab.npz", **arrays)
    data = datasets.load(str(tmp_path / "lab.npz"))
    assert (data.classes, sorted(set(data.batch(0, 0, 45).labels.tolist()))) == (3, [0, 1, 2])


def test_class_folders_give_labels_and_grey_is_one_channel(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        images(tmp_path / "set" / name, [(28, 28)] * 15, grey=True)
    data = datasets.load(str(tmp_path / "set"))
    assert isinstance(data, Images)
    assert (data.shape, data.classes, data.class_names) == ((1, 28, 28), 2, ("cat", "dog"))


def test_one_held_out_image_in_colour_gives_all_three_channels(tmp_path: Path) -> None:
    folder = images(tmp_path / "set", [(8, 8)] * 40, grey=True)
    for seed in range(100):
        pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "colour.png")
        data = datasets.load(str(folder))
        assert isinstance(data, Images)
        assert data.shape == (3, 8, 8)
        if any((image.pixels != image.pixels[:1]).any() for image in data.held_out):
            return
    pytest.fail("the coloured image was never held out")


def test_images_of_several_sizes_are_refused_and_can_be_resized(tmp_path: Path) -> None:
    folder = images(tmp_path / "mixed", [(20, 30), (40, 16)] * 10)
    with pytest.raises(GanevalError, match=r"2 sizes; --image-size"):
        datasets.load(str(folder))
    resized = datasets.load(str(folder), image_size=8)
    assert isinstance(resized, Images)
    assert resized.shape == (3, 8, 8)
    # What is held out is cropped and resized as what is trained on: else even real images would score badly.
    whole = datasets.load(str(images(tmp_path / "alike", [(20, 30)] * 20)), image_size=8)
    assert isinstance(whole, Images)
    squares = whole.held_out.reader
    assert isinstance(squares, datasets.Squares)
    for i, image in enumerate(whole.held_out):
        stored = squares.reader.read(whole.held_out.rows[i]).pixels
        assert torch.equal(image.pixels, datasets._resized(stored, 8))
    assert whole.held_out.digests() != replace(whole.held_out, reader=datasets.Squares(squares, 9)).digests()


def test_resizing_takes_the_centre(tmp_path: Path) -> None:
    # A bright middle square between dark sides: the crop leaves the sides out.
    pixels = torch.zeros(3, 16, 48, dtype=torch.uint8)
    pixels[:, :, 16:32] = 200
    assert torch.equal(datasets._resized(pixels, 8), torch.full((3, 8, 8), 200, dtype=torch.uint8))


@pytest.mark.parametrize(
    ("name", "said"), [("ring-9", "did you mean 'ring8'"), ("digitz", "did you mean 'digits'"), ("/no/where", "known")]
)
def test_an_unknown_data_set(name: str, said: str) -> None:
    with pytest.raises(GanevalError, match=f"unknown data set.*{said}"):
        datasets.load(name)


def test_one_image_is_too_few(tmp_path: Path) -> None:
    with pytest.raises(GanevalError, match="1 image"):
        datasets.load(str(images(tmp_path / "one", [(8, 8)])))
