"""Devices: copies behind the work, memory that does not suffice, and what a card must not do to a number."""

from __future__ import annotations

import os
import warnings
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from torch import Tensor

import ganeval
from ganeval import devices, evaluate
from ganeval.devices import Fitting, decoders, fetched, pick_device
from ganeval.errors import GanevalError
from ganeval.extractors import Wrapped, load_extractor
from ganeval.fp32 import true_fp32
from ganeval.images import Image, ImageSet
from ganeval.numerics.inputs import with_float64
from ganeval.registry import METRICS
from tests.seeded_weights import save_seeded_inception

CPU = torch.device("cpu")
PIXELS = torch.from_numpy(np.random.RandomState(0).randint(256, size=(37, 3, 8, 8), dtype=np.uint8))
cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA card")


FULL = torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


class Small:
    """Channel means of the images, with room for so many of them at a time."""

    name, fingerprint, verified, weights_sha256 = "small", "small", True, None

    def __init__(self, room: int, room_to_resize: int = 1000, full: Exception = FULL) -> None:
        self.room, self.room_to_resize, self.full = room, room_to_resize, full
        self.seen: list[int] = []

    def to(self, device: object) -> Small:
        return self

    def resize(self, images: Tensor) -> Tensor:
        if len(images) > self.room_to_resize:
            raise self.full
        return torch.stack([images.float().mean((2, 3)), images.float().amax((2, 3))], 1)

    def __call__(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        self.seen.append(len(inputs))
        if len(inputs) > self.room:
            raise self.full
        return inputs[:, 0], inputs[:, 1]


# -- the pipeline


def test_each_result_is_fetched_after_the_next_was_asked_for() -> None:
    begun: list[int] = []

    def results() -> Iterator[tuple[Tensor, Tensor]]:
        for i in range(4):
            begun.append(i)
            yield torch.tensor([i]), torch.tensor([-i])

    got = [(int(a), int(b), len(begun)) for a, b in fetched(results(), CPU)]
    assert got == [(0, 0, 2), (1, -1, 3), (2, -2, 4), (3, -3, 4)]


@pytest.mark.parametrize("workers", [0, 2])
def test_rows_are_those_of_each_image_alone(workers: int, tmp_path: Path) -> None:
    """Six sizes, files that are no images in the midst of a batch and as a whole one, and a last, smaller batch."""
    random = np.random.RandomState(1)
    expected = []
    for i in range(15):
        path = tmp_path / f"{i:02}.png"
        if i in (2, 4, 5, 6, 7):
            path.write_bytes(b"no image")
            continue
        pixels = random.randint(256, size=(5 + i % 3, 9 - i % 2, 3), dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(path)
        expected.append(np.concatenate([pixels.mean((0, 1)), pixels.max((0, 1))]))
    features = ganeval.extract(tmp_path, Small(99), batch_size=4, workers=workers, skip_bad=True, cache=False)
    assert torch.cat([features.pooled, features.logits], 1).numpy() == pytest.approx(np.array(expected), rel=1e-6)
    assert features.survey.indices.tolist() == [0, 1, 3, *range(8, 15)]
    assert [Path(name).name for name in features.survey.skipped] == [f"{i:02}.png" for i in (2, 4, 5, 6, 7)]
    assert features.survey.sizes == {"9x5": 2, "8x6": 2, "8x5": 2, "9x7": 2, "9x6": 1, "8x7": 1}


class Dying:
    """A reader whose process ends."""

    def __len__(self) -> int:
        return 4

    def read(self, i: int) -> Image:
        if i == 3:
            os._exit(7)
        return Image(PIXELS[i], "array")


def test_a_decoding_process_that_ends_is_said_so() -> None:
    with pytest.raises(GanevalError, match=r"process that decodes images has ended.*--workers 0"):
        ganeval.extract(ImageSet("x", Dying(), tuple(range(4))), Small(9), workers=1, batch_size=2, cache=False)


# -- memory


@pytest.mark.parametrize("full", [FULL, RuntimeError("MPS backend out of memory (MPS allocated: 9.06 GB)")])
def test_too_large_a_batch_is_halved_for_good(full: Exception, caplog: pytest.LogCaptureFixture) -> None:
    small = Small(room=5, full=full)
    features = ganeval.extract(PIXELS, small, batch_size=16, cache=False)
    assert torch.equal(features.pooled, PIXELS.float().mean((2, 3)))
    assert torch.equal(features.logits, PIXELS.float().amax((2, 3)))
    assert small.seen == [16, 8, *[4] * 9, 1]  # two batches of 16 and one of 5
    assert [record.message for record in caplog.records] == [
        "cpu is out of memory; going on with 8 images at once", "cpu is out of memory; going on with 4 images at once",
    ]  # fmt: skip


def test_another_failure_is_not_taken_for_a_lack_of_memory() -> None:
    small = Small(room=5, full=RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="mat1"):
        ganeval.extract(PIXELS, small, batch_size=16, cache=False)
    assert small.seen == [16]


def test_a_resize_that_does_not_fit_is_halved_too() -> None:
    small = Small(room=99, room_to_resize=3)
    features = ganeval.extract(PIXELS, small, batch_size=16, cache=False)
    assert torch.equal(features.pooled, PIXELS.float().mean((2, 3)))
    assert small.seen == [16, 16, 5]


def test_one_image_that_does_not_fit_is_an_error_with_a_mend() -> None:
    with pytest.raises(GanevalError, match=r"cpu has too little memory for one image \(8x8x3\).*--device cpu.*smaller"):
        ganeval.extract(PIXELS, Small(99, room_to_resize=0), cache=False)


def test_a_failed_attempt_holds_no_memory() -> None:
    """What it had made must be gone before the next one, or half as many images would not fit either."""
    alive: list[weakref.ref] = []

    def function(rows: Tensor) -> Tensor:
        assert not any(ref() is not None for ref in alive)
        large = torch.ones(len(rows))
        alive.append(weakref.ref(large))
        if len(rows) > 2:
            raise torch.cuda.OutOfMemoryError("out of memory")
        return rows

    assert len(Fitting(function, CPU, 8)(PIXELS[:4])) == 2


# -- precision and places


def tf32() -> tuple[object, object]:
    return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32


@pytest.fixture
def allowed() -> Iterator[None]:
    """TF32 allowed in products, as `torch.set_float32_matmul_precision("high")` of a training script does."""
    torch.set_float32_matmul_precision("high")
    assert tf32() == (True, True)
    yield
    assert tf32() == (True, True), "the caller's own setting is back"
    torch.set_float32_matmul_precision("highest")


def precisions() -> list[object]:
    cudnn = torch.backends.cudnn
    if hasattr(cudnn, "conv"):
        return [torch.backends.cuda.matmul.fp32_precision == "tf32", cudnn.conv.fp32_precision == "tf32"]
    return list(tf32())


@pytest.mark.usefixtures("allowed")
def test_neither_networks_nor_metrics_take_tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def network(images: Tensor) -> Tensor:
        seen.append(precisions())
        assert torch.backends.cudnn.enabled
        return images.float().mean((2, 3))

    def family(fake: Tensor, real: Tensor, wanted: object) -> dict[str, object]:
        seen.append(precisions())
        return {}

    monkeypatch.setattr(evaluate, "resolve", lambda name: family)
    ganeval.score(PIXELS, PIXELS + 1, extractor=Wrapped(network, "n"), metrics=["precision"], cache=False)
    assert seen == [[False, False]] * 3  # two sets and a metric
    with pytest.raises(ZeroDivisionError), true_fp32():
        _ = 1 / 0


@pytest.mark.parametrize("kind", ["cpu", "cuda", "mps", "xpu"])
def test_autocast_is_off_where_all_digits_are_wanted(kind: str) -> None:
    with warnings.catch_warnings(action="ignore"), torch.autocast(kind, dtype=torch.float16):  # of absent devices
        before = torch.is_autocast_enabled(kind)
        with true_fp32():
            assert not torch.is_autocast_enabled(kind)
        assert torch.is_autocast_enabled(kind) == before


def test_metrics_of_a_device_without_float64_are_computed_on_the_cpu() -> None:
    """What that changes: tests/test_on_a_card.py."""
    assert with_float64(torch.device("mps")) == CPU
    assert with_float64(torch.device("cuda:1")) == torch.device("cuda:1")


def test_decoding_processes_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    card = torch.device("cuda")
    for cores, expected in ((3, 3), (64, 8), (None, 1)):
        monkeypatch.setattr(devices.os, "cpu_count", lambda cores=cores: cores)
        assert decoders(card, files=True) == expected
    assert decoders(card, files=False) == decoders(CPU, files=True) == 0


def test_each_process_of_a_machine_takes_a_card_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for rank, card in (("0", "cuda:0"), ("1", "cuda:1"), ("3", "cuda:1")):
        monkeypatch.setenv("LOCAL_RANK", rank)
        assert str(pick_device("auto")) == card


def test_a_device_that_is_not_here() -> None:
    for name in ("cuda:99", "nonsense", "meta", "cpu:7", "xla", "vulkan", "privateuseone"):
        with pytest.raises(GanevalError, match=rf"no device '{name}'.*--device cpu"):
            pick_device(name)


# -- on a card


@cuda
def test_inception_on_a_card_is_that_of_the_cpu(tmp_path: Path) -> None:
    net = load_extractor("inception", weights=save_seeded_inception(tmp_path / "weights.pth"))
    here = ganeval.extract(PIXELS, net, device="cpu", batch_size=8, cache=False)
    there = ganeval.extract(PIXELS, net, device="cuda", batch_size=8, cache=False)
    assert torch.allclose(there.pooled, here.pooled, rtol=1e-3, atol=1e-4 * float(here.pooled.std()))
    assert torch.equal(there.survey.digests, here.survey.digests)


@cuda
def test_metrics_on_a_card_are_those_of_the_cpu() -> None:
    random = torch.Generator().manual_seed(0)
    fake, real, train = (torch.randn(300, 16, generator=random) for _ in range(3))
    for name, metric in METRICS.items():
        sets = [fake, *([train] if metric.train == "needed" else []), *([real] if metric.reference else [])]
        here, there = (metric.fn(*(rows.to(place) for rows in sets)).value for place in ("cpu", "cuda"))
        assert there == pytest.approx(here, rel=1e-5, abs=1e-7), name
