"""score(): what it compares, in which order, what it refuses, and what it warns of."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ganeval
from ganeval import cache as caches
from ganeval.errors import GanevalError
from ganeval.extractors import load_extractor
from ganeval.registry import METRICS
from tests.plugins import PROGRAM, install

RANDOM = np.random.RandomState(0)
FAKE = RANDOM.randint(0, 200, size=(120, 10, 10, 3), dtype=np.uint8)
REAL = RANDOM.randint(20, 256, size=(120, 10, 10, 3), dtype=np.uint8)


def save(folder: Path, pixels: np.ndarray, names: list[str] | None = None, **options: object) -> Path:
    for i, image in enumerate(pixels):
        path = folder / (names[i] if names else f"{i:04d}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path, **options)
    return folder


def values(report: ganeval.ScoreReport) -> dict[str, float]:
    return {name: report[name].value for name in report.metrics}


class Pixels:
    """pixels:4 as an object."""

    name, fingerprint, verified, weights_sha256 = "four", "four/v1", True, None

    def __init__(self) -> None:
        self.net = load_extractor("pixels:4")

    def to(self, device: torch.device) -> Pixels:
        return self

    def resize(self, images: torch.Tensor) -> torch.Tensor:
        return self.net.resize(images)

    def __call__(self, inputs: torch.Tensor) -> tuple[torch.Tensor, None]:
        return self.net(inputs)[0], None


def score(fake, real=REAL, **options) -> ganeval.ScoreReport:
    return ganeval.score(fake, real, **{"extractor": "classifier:digits", **options})


def test_every_metric_that_applies_runs() -> None:
    report = score(FAKE)
    assert set(report.metrics) | set(report.skipped) == set(METRICS)
    assert set(report.skipped) == {"cmmd", "mifid", "authenticity", "ct"}


def test_neither_order_names_batches_nor_workers_change_a_number(tmp_path: Path) -> None:
    """Metrics that draw subsets too: rows enter them in the order of the images' content."""
    base = values(score(FAKE))
    order = RANDOM.permutation(len(FAKE))
    others = {
        "order": score(FAKE[order], REAL[order]),
        "names": score(save(tmp_path / "a", FAKE, [f"{i}.png" for i in order]), save(tmp_path / "b", REAL)),
        "batches": score(FAKE, batch_size=7, cache=False),
        "workers": score(tmp_path / "a", workers=2, cache=False),
    }
    for what, report in others.items():
        for name, value in values(report).items():
            assert value == pytest.approx(base[name], rel=1e-6, abs=1e-9), (what, name)


def test_inception_does_not_depend_on_the_batch(tmp_path: Path) -> None:
    from ganeval.extractors.inception import network

    torch.manual_seed(0)
    torch.save(network().state_dict(), tmp_path / "w.pth")
    one, two = (
        score(FAKE[:12], REAL[:12], extractor="inception", weights=tmp_path / "w.pth", metrics=["fid"],
              batch_size=size, cache=False)["fid"].value
        for size in (5, 12)
    )  # fmt: skip
    assert one == pytest.approx(two, rel=1e-5)


def test_the_cache_changes_no_number() -> None:
    first, again, without = score(FAKE), score(FAKE), score(FAKE, cache=False)
    assert values(first) == values(again)
    for name, value in values(without).items():
        assert value == pytest.approx(first[name].value, rel=1e-12), name
    assert again.samples.sha256 == first.samples.sha256


def test_a_changed_image_is_never_taken_from_the_cache(tmp_path: Path) -> None:
    """Of the same size, at the same time, under the same name."""
    folder = save(tmp_path / "a", FAKE)
    path = folder / "0003.png"
    before, times = score(folder), path.stat()
    Image.fromarray(255 - FAKE[3]).save(path)
    import os

    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    after = score(folder)
    assert after.samples.sha256 != before.samples.sha256
    assert after["fid"].value != before["fid"].value


def test_an_image_that_changes_while_it_is_scored_is_not_taken_from_the_cache(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As of a folder that a training writes to: the digests are of the old images, the features of new ones."""
    folder = save(tmp_path / "a", FAKE)

    class Late(Pixels):
        """Overwrites an image before the network has seen any."""

        def to(self, device: torch.device) -> Late:
            Image.fromarray(255 - FAKE[3]).save(folder / "0003.png")
            return self

    fixed = {"metrics": ["fid"], "batch_size": 200, "workers": 0}
    during = score(folder, extractor=Late(), **fixed)["fid"].value
    assert "1 image(s) changed" in caplog.text
    assert "0003.png" in caplog.text
    assert score(folder, extractor=Pixels(), **fixed)["fid"].value == during
    Image.fromarray(FAKE[3]).save(folder / "0003.png")
    assert score(folder, extractor=Pixels(), **fixed)["fid"].value != during


def test_a_damaged_cache_is_computed_again() -> None:
    before = values(score(FAKE))
    for path in caches.cache_dir().rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:-20])
    assert values(score(FAKE)) == before


def test_metric_options_and_seeds() -> None:
    report = score(FAKE, metrics={"precision": {"k": 7}, "kid": {"subsets": 3}}, seed=5)
    assert report.metrics["precision"].options == {"k": 7, "strict": False}
    assert report.metrics["kid"].options["seed"] == 5
    assert score(FAKE, metrics="kid:seed=3", seed=5).metrics["kid"].options["seed"] == 3
    assert score(FAKE, metrics="fid").metrics.keys() == {"fid"}


def test_a_random_n() -> None:
    report = score(FAKE, n=50, metrics=["fid"])
    assert (report.samples.n, report.reference.n, report["fid"].n_fake) == (50, 50, 50)
    assert score(FAKE, n=50, seed=1, metrics=["fid"])["fid"].value != report["fid"].value
    with pytest.raises(GanevalError, match="--n 50: array has 1 image; give a set of more"):
        score(FAKE[:1], n=50)


def test_a_reference_without_logits_is_said_to_have_none() -> None:
    fake, real = (ganeval.extract(images, "classifier:digits") for images in (FAKE, REAL))
    report = ganeval.score(fake, replace(real, logits=None))
    assert report.skipped["mode_score"] == "the reference features hold no class logits"
    assert {"fid", "inception_score"} <= report.metrics.keys()


def test_features_as_given() -> None:
    fake, real = (ganeval.extract(images, "classifier:digits") for images in (FAKE, REAL))
    report = ganeval.score(fake, real)
    assert values(report)["fid"] == pytest.approx(values(score(FAKE))["fid"], rel=1e-6)
    other = ganeval.extract(REAL, "pixels:4")
    with pytest.raises(GanevalError, match=r"classifier-digits.*one extractor|pixels.*one extractor"):
        ganeval.score(fake, other)


def test_another_precision_is_another_fingerprint() -> None:
    fake = ganeval.extract(FAKE, "classifier:digits", precision="bf16")
    real = ganeval.extract(REAL, "classifier:digits")
    assert fake.pooled.dtype == torch.float32
    with pytest.raises(GanevalError, match="bf16"):
        ganeval.score(fake, real)


def test_named_data_sets_bring_their_extractor() -> None:
    report = ganeval.score("digits:train", "digits:test", metrics=["fid_debiased", "kid"])
    assert report.extractor.name == "classifier:digits"
    assert "own" in report.extractor.reason
    for name in report.metrics:
        low, high = report[name].interval
        assert low < 0 < high, "two halves of one data set"


def test_by_class(tmp_path: Path) -> None:
    names = [f"{'ab'[i % 2]}/{i}.png" for i in range(120)]
    fake = save(tmp_path / "fake", FAKE, names)
    real = save(tmp_path / "real", REAL, [f"{'abc'[i % 3]}/{i}.png" for i in range(120)])
    report = score(fake, real, by_class=True)
    assert set(report.by_class) == {"a", "b"}
    a = report.by_class["a"]
    assert (a.n_fake, a.n_real) == (60, 40)
    alone = score(FAKE[0::2], REAL[0::3], metrics=["fid"])["fid"].value
    assert a.metrics["fid"].estimate.value == pytest.approx(alone, rel=1e-9)
    assert any("under 50" in warning and "a, b" in warning for warning in report.warnings)
    assert "by_class" in report.to_dict()
    assert set(report.to_frame()["class"]) == {"", "a", "b"}
    assert "mean" in report.to_text()
    with pytest.raises(GanevalError, match="array has no labels"):
        score(fake, REAL, by_class=True)
    with pytest.raises(GanevalError, match="no class is in both"):
        score(fake, save(tmp_path / "other", REAL, [f"{'xy'[i % 2]}/{i}.png" for i in range(120)]), by_class=True)


# -- warnings


def warned(report: ganeval.ScoreReport, *words: str) -> bool:
    return any(all(word in warning for word in words) for warning in report.warnings)


def test_warnings_about_sample_size() -> None:
    report = score(FAKE[:20], REAL[:30])
    assert warned(report, "FD can't be trusted at n = 20", "32 features")
    assert warned(report, "unequal n", "20 samples against 30")
    small = ganeval.score(FAKE, REAL, extractor="pixels:27")
    assert warned(small, "needs at least 2187", "trust KID")
    assert not warned(report, "with their intervals"), "of 20 images there are none"
    assert not warned(score(FAKE), "can't be trusted")
    assert not warned(score(FAKE), "unequal")


def test_warnings_about_duplicates_and_shared_images() -> None:
    assert warned(score(np.concatenate([FAKE, FAKE[:7]])), "7 of the 127 samples are exact duplicates")
    assert warned(score(np.concatenate([FAKE, REAL[:9]])), "9 image(s) are in the samples and in the reference")
    clean = score(FAKE)
    assert not warned(clean, "duplicates")
    assert not warned(clean, "in the reference")


def test_a_png_and_an_array_of_the_same_pixels_are_the_same_image(tmp_path: Path) -> None:
    assert warned(score(save(tmp_path / "a", REAL[:50])), "50 image(s) are in the samples and in the reference")


def test_warnings_about_files(tmp_path: Path) -> None:
    jpeg = save(tmp_path / "jpeg", FAKE, [f"{i}.jpg" for i in range(120)])
    png = save(tmp_path / "png", REAL)
    assert warned(score(jpeg, png), "samples are JPEG and the reference are not")
    assert warned(score(png, jpeg), "reference are JPEG and the samples are not")
    assert not warned(score(jpeg, jpeg), "JPEG")
    large = save(tmp_path / "large", np.repeat(REAL[:60], 2, 1))
    assert warned(score(png, large), "sizes differ", "10x10", "10x20")
    mixed = save(save(tmp_path / "mixed", REAL[:30]), REAL[:20, :9], [f"b{i}.png" for i in range(20)])
    save(mixed, np.repeat(REAL[:60], 2, 1), [f"c{i}.png" for i in range(60)])
    assert warned(score(png, mixed), "the samples 10x10, the reference 10x20 and 2 more")
    assert warned(score(FAKE / 255.0), "floats in [0, 1]")


def test_skipped_images_are_counted_and_named(tmp_path: Path) -> None:
    folder = save(tmp_path / "a", FAKE)
    (folder / "0001.png").write_bytes(b"broken")
    report = score(folder, skip_bad=True)
    assert warned(report, "1 sample(s) could not be read", "0001.png")
    assert report.samples.n == 119
    for i in range(2, 6):
        (folder / f"000{i}.png").write_bytes(b"broken")
    report = score(REAL, folder, train=folder, skip_bad=True, metrics=["authenticity"])
    assert warned(report, "5 reference image(s) could not be read", "0003.png and 2 more")
    assert warned(report, "5 training image(s) could not be read")


def test_weights_that_are_not_the_published_ones_are_said_to_be() -> None:
    class Other(Pixels):
        verified = False

    for extractor, said in ((Pixels(), False), (Other(), True)):
        report = ganeval.score(FAKE, REAL, extractor=extractor, metrics=["fid"])
        assert warned(report, "not known to be the published ones") is said


@pytest.mark.parametrize(("n", "said"), [(115, False), (113, True)])
def test_unequal_n_moves_the_best_1_nn_accuracy_from_a_twentieth_on(n: int, said: bool) -> None:
    report = score(FAKE[:n], metrics=["one_nn_accuracy"])
    assert warned(report, f"{n} samples against 120", f"--n {n}") is said


def test_treatments_are_in_the_report(tmp_path: Path) -> None:
    report = score(save(tmp_path / "a", FAKE[..., 0]))
    assert report.treatments["samples"] == {"grey repeated to RGB": 120}
    assert "120 grey repeated to RGB" in report.to_text()


# -- plugins


PLUGIN = """
from ganeval.metrics import Array, pair
from ganeval.registry import ExtractorSpec, Metric, add
from ganeval.types import Estimate


def mean_distance(fake: Array, real: Array, *, squared: bool = False) -> Estimate:
    x, y = pair(fake, real)
    distance = (x.double().mean(0) - y.double().mean(0)).norm().item()
    return Estimate(distance**2 if squared else distance, n_fake=len(x), n_real=len(y))


def load(variant, weights):
    from ganeval.extractors import load_extractor

    return load_extractor(f"pixels:{variant}")


add(Metric("mean_distance", mean_distance, "Distance of means", better="lower", paper="this page"))
add(ExtractorSpec("tiny:<size>", load, "small pixels"))
"""


def test_a_metric_and_an_extractor_from_another_package(tmp_path: Path) -> None:
    run = install(tmp_path, "my_plugin", PLUGIN)
    assert "mean_distance" in run("list", "metrics")
    assert "tiny:<size>" in run("list", "extractors")
    out = run("score", "digits:train", "--ref", "digits:test", "--extractor", "tiny:2",
              "--metric", "mean-distance:squared=true", "--format", "csv")  # fmt: skip
    fake, real = (ganeval.extract(f"digits:{split}", "pixels:2").pooled.double().mean(0) for split in ("train", "test"))
    assert float(out.splitlines()[1].split(",")[1]) == pytest.approx(float((fake - real).square().sum()))


def test_a_plugin_that_can_not_be_loaded_stops_nothing_else(tmp_path: Path) -> None:
    run = install(tmp_path, "broken", "import a_package_that_is_not_here")
    assert "precision" in run("list", "metrics")
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), "list", "metrics"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr.count("\n") == 1
    assert "without the plugin broken of the package broken: No module named 'a_package" in done.stderr


def test_the_example_in_the_manual_is_this_one() -> None:
    manual = (Path(__file__).parents[1] / "docs/extending.md").read_text()
    for line in PLUGIN.splitlines():
        if line.startswith(("def mean", "add(Metric", "    distance", "    x, y", "    return Estimate")):
            assert line in manual


def test_the_demo_tells_the_three_sets_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ganeval import demo

    monkeypatch.setattr(demo, "STEPS", 1500)
    page = demo.demo(tmp_path / "demo")
    assert all(len(line) <= 80 or str(tmp_path) in line for line in page.splitlines())
    table = {}
    for line in page.splitlines():
        cells = line.split()
        if cells and cells[0] in demo.SETS and cells[0] not in table and cells[-1].endswith("%"):
            table[cells[0]] = cells
    assert table["copied"][-1] == "100%"
    assert table["honest"][-1] == "0%"
    recall, coverage = (lambda name: float(table[name][-4])), (lambda name: float(table[name][-3]))
    assert recall("collapsed") < 0.2 < recall("honest")
    assert coverage("collapsed") < 0.5 < coverage("honest")
    assert "ganeval score" in page


def test_the_demo_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ganeval import demo

    monkeypatch.setattr(demo, "STEPS", 50)
    first, again = (demo.demo(tmp_path / "demo").splitlines()[:9] for _ in range(2))
    assert first == again, "the same seed gives the same table"
    (tmp_path / "demo/mine.txt").touch()
    with pytest.raises(GanevalError, match="another folder"):
        demo.demo(tmp_path / "demo")
    shutil.rmtree(tmp_path / "demo")


def test_statistics_in_parts_are_those_of_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ganeval import summarise
    from ganeval.settings import Settings

    whole = ganeval.extract("digits:train", "classifier:digits").pooled.double()
    monkeypatch.setattr(summarise, "PART", 500)
    found = summarise.reference_with("digits:train", tmp_path / "stats.npz", Settings(extractor="classifier:digits"))
    assert found.n == len(whole) > 1000
    assert torch.allclose(found.mean, whole.mean(0), rtol=1e-12)
    # Products of float32 features are taken in float32, a block at a time.
    assert torch.allclose(found.cov, whole.T.cov(), rtol=1e-6, atol=1e-6)
