"""Used from somebody's program: nothing of the caller's is moved, and what programs hold is taken."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from PIL import Image
from torch import nn

import ganeval
from ganeval import distributed
from ganeval.collapse.monitor import CollapseMonitor
from ganeval.errors import GanevalError
from ganeval.fp32 import true_fp32
from ganeval.types import Features

RANDOM = np.random.RandomState(0)
IMAGES = RANDOM.randint(0, 256, (60, 8, 8, 3), dtype=np.uint8)
OTHERS = RANDOM.randint(0, 256, (60, 8, 8, 3), dtype=np.uint8)
METRICS = ("fid", "precision")


class Net(nn.Module):
    """Features that depend on the mode that it is in."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.frozen = nn.BatchNorm2d(3), nn.BatchNorm2d(3).eval()
        self.sizes: list[int] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.norm(images.float()).flatten(1)[:, :20]


def classified() -> Features:
    return ganeval.extract("digits:test", "classifier:digits")


CALLS: dict[str, Callable[[], Any]] = {
    "extract": classified,
    "score": lambda: ganeval.score(IMAGES, OTHERS, extractor="pixels:4", metrics=METRICS),
    "compare": lambda: ganeval.compare(IMAGES, OTHERS[:50], OTHERS, extractor="pixels:2", metrics=["kid"]),
    "stream": lambda: ganeval.Stream("classifier:digits"),
    "monitor": lambda: CollapseMonitor("digits:test"),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_callers_random_numbers_go_on_as_they_would(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """With the cache empty, and then full: else an evaluation would change the training that it looks at."""
    monkeypatch.setenv("GANEVAL_CACHE", str(tmp_path))
    torch.manual_seed(0)
    np.random.seed(0)
    before, numpys = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    for _ in range(2):
        CALLS[name]()
        assert torch.equal(torch.random.get_rng_state(), before)
        assert np.array_equal(np.random.get_state()[1], numpys)


@pytest.fixture
def doubles() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("doubles")
def test_the_callers_default_dtype_changes_no_number() -> None:
    found = ganeval.extract(IMAGES, "classifier:digits", cache=False).pooled
    streamed = ganeval.Stream("classifier:digits")
    assert torch.get_default_dtype() == torch.float64
    torch.set_default_dtype(torch.float32)
    assert found.dtype == torch.float32
    assert torch.equal(found, ganeval.extract(IMAGES, "classifier:digits", cache=False).pooled)
    plain = ganeval.Stream("classifier:digits")
    for stream in (streamed, plain):
        for images, real in ((IMAGES, False), (OTHERS, True)):
            stream.update(images.transpose(0, 3, 1, 2), real=real)
    assert streamed.compute()["fid"] == plain.compute()["fid"]


def test_a_network_in_training_is_evaluated_and_goes_on_training() -> None:
    net = Net()
    buffers = {name: buffer.clone() for name, buffer in net.state_dict().items()}
    one = ganeval.extract(IMAGES, net, batch_size=7, cache=False)
    other = ganeval.extract(IMAGES, net, batch_size=60, cache=False)
    assert torch.allclose(one.pooled, other.pooled)
    assert net.norm.training
    assert not net.frozen.training
    assert all(torch.equal(buffers[name], buffer) for name, buffer in net.state_dict().items())
    stream = ganeval.Stream(net)
    stream.update(IMAGES.transpose(0, 3, 1, 2), real=False)
    assert net.norm.training
    assert torch.equal(net.norm.running_mean, buffers["norm.running_mean"])


def flat(images: torch.Tensor) -> torch.Tensor:
    return images.float().flatten(1)[:, :20]


def test_a_function_is_an_extractor() -> None:
    whole = ganeval.score(IMAGES, OTHERS, extractor=flat, metrics=["fid"], cache=False)
    features = [ganeval.extract(images, flat, cache=False) for images in (IMAGES, OTHERS)]
    assert whole["fid"].value == pytest.approx(ganeval.score(*features, metrics=["fid"])["fid"].value, rel=1e-6)


@pytest.mark.parametrize("extractor", [None, 5, Net])
def test_what_is_no_extractor_is_named(extractor: Any) -> None:
    with pytest.raises(GanevalError, match="an extractor is a function or"):
        ganeval.extract(IMAGES, extractor)


def as_pil(images: np.ndarray) -> list[Image.Image]:
    return [Image.fromarray(image) for image in images]


def as_tensors(images: np.ndarray) -> list[torch.Tensor]:
    return list(torch.from_numpy(images).permute(0, 3, 1, 2))


@pytest.mark.parametrize("form", [as_pil, as_tensors, list, tuple])
def test_a_list_of_images_is_a_set(form: Callable[[np.ndarray], Any]) -> None:
    found = ganeval.extract(form(IMAGES), "pixels:4", cache=False)
    assert torch.equal(found.pooled, ganeval.extract(IMAGES, "pixels:4", cache=False).pooled)


@pytest.mark.parametrize(
    ("images", "said"),
    [
        ([], "nothing"),
        ([IMAGES[0], torch.zeros(3, 8, 8)], "Tensor, ndarray"),
        ([IMAGES[0], IMAGES[0, :4]], "several sizes"),
        (torch.utils.data.DataLoader([1]), "torch.cat"),
    ],
)
def test_lists_that_are_no_set(images: Any, said: str) -> None:
    with pytest.raises(GanevalError, match=said):
        ganeval.extract(images, "pixels:4")


@pytest.mark.parametrize(
    ("images", "mend"),
    [
        (IMAGES / 255 * 1.0001, "clamp(0, 1)"),
        (IMAGES / 255 - 0.001, "clamp(0, 1)"),
        (IMAGES / 127.5 - 1.001, "(x + 1) * 127.5"),
        (IMAGES * 1.01 - 1.0, "x.round().clamp(0, 255)"),
        (IMAGES * 100.0, "scale them"),
    ],
)
def test_floats_beyond_their_range_are_told_how_to_get_back(images: np.ndarray, mend: str) -> None:
    with pytest.raises(GanevalError) as caught:
        ganeval.extract(images, "pixels:4")
    assert mend in str(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"precision": "fp8"}, "precision"),
        ({"precision": "bfloat16"}, "did you mean 'bf16'"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"workers": -1}, "workers=-1"),
        ({"seed": 1.5}, "seed=1.5"),
        ({"metrics": [max]}, "named by text"),
        ({"mirror": True}, "training set"),
        ({"metrics": ["fid,kid"]}, "--metric fid --metric kid"),
    ],
)
def test_options_out_of_range_are_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(GanevalError, match=said):
        ganeval.score(IMAGES, OTHERS, extractor="pixels:4", **options)


def test_numpys_numbers_are_numbers() -> None:
    given = {"precision": {"k": np.int64(3)}, "vendi": {"order": np.float32(2)}}
    report = ganeval.score(
        IMAGES, OTHERS, extractor="pixels:4", metrics=given, seed=np.int64(0), n=np.int32(50), batch_size=np.int64(16)
    )
    again = ganeval.score(IMAGES, OTHERS, extractor="pixels:4", metrics={"precision": {"k": 3}}, n=50)
    assert report["precision"] == again["precision"]
    assert '"k": 3' in report.to_json()


def test_a_report_is_looked_up_as_a_mapping_and_printed_as_a_number() -> None:
    report = ganeval.score(IMAGES, OTHERS, extractor="pixels:4", metrics=METRICS)
    assert "fid" in report
    assert "kid" not in report
    assert list(report) == list(METRICS)
    assert report._repr_html_().count("\n") == str(report).count("\n")
    value = report["fid"].value
    assert f"{report['fid']:.2f}" == f"{value:.2f}"
    assert str(value) in f"{report['fid']}"


def test_rows_of_features() -> None:
    features = classified()
    assert features.survey is not None
    for which in (slice(10, 20, 2), [3, 1], torch.tensor([5, 0]), torch.arange(len(features)) < 4):
        part = features[which]
        assert torch.equal(part.pooled, features.pooled[which])
        assert part.survey is not None
        assert len(part.survey.digests) == len(part)


def test_some_rows_of_two_kinds_of_files_raise_no_alarm(tmp_path: Path) -> None:
    """Few of the samples are JPEG, whichever of them are drawn."""
    for i, image in enumerate(np.concatenate([IMAGES, OTHERS])):
        Image.fromarray(image).save(tmp_path / (f"{i}.jpg" if i < 12 else f"{i}.png"))
    features = ganeval.extract(tmp_path, "pixels:4")
    real = ganeval.extract(IMAGES, "pixels:4")
    report = ganeval.score(features, real, n=20, metrics=["fid"])
    assert not any("JPEG" in warning for warning in report.warnings)


def test_features_of_another_network_are_refused_before_images_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    real = classified()
    monkeypatch.setattr("ganeval.sides.extract_with", lambda *_, **__: pytest.fail("images were read"))
    with pytest.raises(GanevalError, match="made by classifier-digits"):
        ganeval.score(IMAGES, real, extractor="pixels:4")
    with pytest.raises(GanevalError, match="name the extractor that made them"):
        ganeval.score(IMAGES, real)


def test_an_infinite_option_is_written() -> None:
    options = {"vendi": {"order": math.inf}}
    report = ganeval.compare(IMAGES, OTHERS[:50], OTHERS, extractor="pixels:4", metrics=options)
    assert report.to_json()


@pytest.mark.parametrize("name", ["ct", "authenticity", "ndb", "mifid"])
def test_metrics_that_compare_has_not_say_why_before_images_are_read(name: str, tmp_path: Path) -> None:
    with pytest.raises(GanevalError, match=f"{name} can't be compared"):
        ganeval.compare(tmp_path / "nowhere", IMAGES, OTHERS, metrics=[name])


def test_looks_of_which_only_the_last_counts_need_no_share_of_alpha() -> None:
    with pytest.raises(GanevalError, match="plan 1 to"):
        CollapseMonitor(classified(), looks=1000)
    assert CollapseMonitor(classified(), looks=1000, spend="last").looks == 1000


@pytest.fixture
def quick_products() -> Iterator[None]:
    """As many training scripts have it: products of float32 in bf16, where the processor has it, or in TF32."""
    torch.set_float32_matmul_precision("medium")
    yield
    torch.set_float32_matmul_precision("highest")


@pytest.mark.usefixtures("quick_products")
def test_the_callers_precision_of_products_changes_no_number() -> None:
    rows = [torch.rand(300, 64, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1)]
    features = [Features(part, None, "net") for part in rows]
    names = ["fid", "kid", "mmd", "sliced_wasserstein", "precision", "vendi"]

    def found() -> list[float]:
        network = ganeval.extract(IMAGES, "classifier:digits", cache=False).pooled
        scores = ganeval.score(*features, metrics=names, cache=False)
        return [float(network.sum()), *(scores[name].value for name in names)]

    quick = found()
    assert torch.get_float32_matmul_precision() == "medium"
    torch.set_float32_matmul_precision("highest")
    assert quick == found()


@pytest.mark.usefixtures("doubles")
def test_evaluations_in_several_threads_leave_the_callers_settings() -> None:
    """The first to begin is the first to end, when the other still wants what it set."""
    first, second = true_fp32(), true_fp32()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert torch.get_default_dtype() == torch.float32
    second.__exit__(None, None, None)
    assert torch.get_default_dtype() == torch.float64


def test_a_method_of_a_module_has_its_weights_and_its_mode() -> None:
    """Its source is the same whatever the weights are."""
    net = Net()
    before = ganeval.extract(IMAGES, net.forward)
    assert net.norm.training
    assert not net.norm.running_mean.any(), "it ran in evaluation mode"
    net.norm.weight.data *= 5
    assert ganeval.extract(IMAGES, net.forward).fingerprint != before.fingerprint


def test_a_network_that_is_trained_sees_mirrored_images_in_evaluation_mode() -> None:
    net = Net()
    ganeval.score(IMAGES, OTHERS, extractor=net, train=OTHERS, mirror=True, metrics=["fid"], cache=False)
    assert not net.norm.running_mean.any()
    assert net.norm.training


def test_features_of_the_default_network_name_it() -> None:
    """Of any other the extractor must be named, before a network is looked for."""
    inception = Features(torch.rand(60, 8), None, "inception-2015-12-05/6726825d/tf1-bilinear299/v1/fp32")
    other = Features(torch.rand(60, 8), None, "net/v1/fp32")
    for images, features in ((IMAGES, other), (other, IMAGES)):
        with pytest.raises(GanevalError, match="the features given were made by net/v1/fp32; name the extractor"):
            ganeval.score(images, features)
    with pytest.raises(GanevalError, match=r"^(?!.*name the extractor)"):
        ganeval.score(IMAGES, inception, weights="no such file")
    with pytest.raises(GanevalError, match="made by net/v1/fp32 and those of the reference by pixels"):
        ganeval.score(other, IMAGES, extractor="pixels:2")


def test_weights_are_for_networks_by_name() -> None:
    with pytest.raises(GanevalError, match="brings its own weights"):
        ganeval.extract(IMAGES, Net(), weights="no such file")


def test_public_names_are_listed_where_they_are_looked_for() -> None:
    assert {"score", "Stream", "__version__"} <= set(dir(ganeval))
    assert {"fid", "kid"} <= set(dir(ganeval.metrics))


def test_what_gloo_says_of_itself_is_not_in_the_report(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As torch 2.8 does, from C++: on the descriptor, past sys.stdout."""
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(dist, "init_process_group", lambda *_, **__: os.write(1, b"[Gloo] Rank 0 is connected"))
    monkeypatch.setattr(distributed.atexit, "register", lambda _: None)
    assert distributed.join()
    os.write(1, b"the report")
    assert capfd.readouterr().out == "the report"
