"""What users type wrong, or have lying about: found before the work begins, said in one line, never passed over."""

from __future__ import annotations

import os
import signal
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import torch
from ganeval_baselines import commands
from PIL import Image

import ganeval
from ganeval import distributed, metrics
from ganeval.cli import cli
from ganeval.cli.options import UserPath
from ganeval.devices import pick_device
from ganeval.errors import ELSEWHERE, GanevalError
from ganeval.evaluate import requested
from ganeval.images import folders, open_images
from ganeval.metrics import fid_debiased
from ganeval.reference import holds_images, is_statistics
from ganeval.registry import BASELINES, EXTRACTORS, METRICS, get_baseline, load_plugins
from tests.test_cli import FAST, error, run
from tests.test_scoring import FAKE, REAL, save


class Untouched:
    """An extractor that must not be asked for anything."""

    name, fingerprint, weights_sha256, verified = "untouched", "untouched/v1", None, True

    def to(self, device: torch.device) -> Untouched:
        return self

    def resize(self, pixels: torch.Tensor) -> torch.Tensor:
        raise AssertionError("the images were read")

    __call__ = resize


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save(tmp_path / "real", REAL)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"metrics": ["fidd"]}, "did you mean 'fid'"),
        ({"metrics": ["IS"]}, "here it is inception_score"),
        ({"metrics": ["sFID"]}, "here it is fid with --extractor spatial-inception"),
        ({"metrics": ["precision:kk=3"]}, "kk"),
        ({"metrics": ["precision:k=3", "precision:k=5"]}, "named twice"),
        ({"metrics": ["kid:seed=-1"]}, "seed=-1 of kid"),
        ({"by_class": True}, "has no labels"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_what_was_asked_for_is_checked_before_any_image_is_read(options: dict[str, object], words: str) -> None:
    with pytest.raises(GanevalError, match=words):
        ganeval.score(FAKE, REAL, extractor=Untouched(), cache=False, **options)


@pytest.mark.parametrize(
    ("kind", "table"), [("metric", METRICS), ("extractor", EXTRACTORS), ("model", BASELINES)], ids=list(ELSEWHERE)
)
def test_what_is_told_for_the_names_of_others_is_there(kind: str, table: dict[str, object]) -> None:
    load_plugins()
    assert not ELSEWHERE[kind].keys() & table.keys()
    for here in ELSEWHERE[kind].values():
        assert here.replace(",", " ").split()[0] in table
        assert here.partition("--extractor ")[2] in {"", *EXTRACTORS}


def test_extractors_and_models_by_the_names_of_others() -> None:
    with pytest.raises(GanevalError, match="unknown extractor 'clean-fid'; here it is inception-clean"):
        ganeval.extract(FAKE, "clean-fid")
    with pytest.raises(GanevalError, match="unknown model 'Vanilla-GAN'; here it is gan"):
        get_baseline("Vanilla-GAN")


def test_compare_checks_it_too() -> None:
    with pytest.raises(GanevalError, match="did you mean"):
        ganeval.compare(FAKE, REAL[:100], REAL, extractor=Untouched(), cache=False, metrics=["fidd"])


def test_the_same_request_twice_is_one() -> None:
    assert requested(["precision:k=3", "precision:k=3"]) == {"precision": {"k": "3"}}


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_path_is_not_the_current_folder(folder: Path, monkeypatch: pytest.MonkeyPatch, empty: str) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(GanevalError, match="empty path"):
        open_images(empty)


def test_a_home_that_does_not_exist() -> None:
    with pytest.raises(GanevalError, match="does not exist"):
        open_images("~nobody-of-that-name/images")


def test_a_folder_that_can_not_be_read_is_no_folder_less(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "inner").mkdir()
    scandir = os.scandir

    def closed(path: str) -> object:
        if str(path).endswith("inner"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(folders.os, "scandir", closed)
    with pytest.raises(GanevalError, match=r"can't open the folder .*inner: Permission denied"):
        open_images(folder)


def test_gates_and_places_are_checked_first(folder: Path, tmp_path: Path) -> None:
    base = ["score", folder, "--ref", folder, "--extractor", "no_such_module:net"]
    assert "not among the metrics" in error(*base, "--metric", "kid", "--fail-if", "fid>20")
    assert "write a metric" in error(*base, "--fail-if", "kid>nan")
    assert "--html" in error(*base, "-o", tmp_path / "report.html")
    assert "which form" in error(*base, "-o", tmp_path / "scores.xlsx")
    (tmp_path / "file").touch()
    assert "could not write" in error(*base, "-o", tmp_path / "file" / "scores.csv")
    assert "could not write" in error(*base, "--html", tmp_path)
    assert "could not write" in error("collapse", folder, "--ref", folder, "--picture", tmp_path / "file" / "x.png")
    audit = ["audit", "--ref", folder, "--extractor", "no_such_module:net"]
    assert "could not write" in error(*audit, "-o", tmp_path / "file" / "audit")
    assert "could not write" in error("demo", "-o", tmp_path / "file" / "demo")
    assert "give one with --train" in error(*base, "--fail-if", "authenticity<0.5")
    assert "give one with --ref" in error(*base[:2], *base[4:], "--fail-if", "fid>20")


def test_no_result_is_written_over_what_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save(tmp_path / "real", REAL[:4])
    np.savez(tmp_path / "fake.npz", FAKE[:4])
    (tmp_path / "link").symlink_to(folder / "0001.png")
    monkeypatch.setenv("HOME", str(tmp_path))
    never = ["--extractor", "no_such_module:net"]
    base = ["--ref", folder, *never]
    for written, read, command in (
        (tmp_path / "fake.npz", "fake.npz", ["score", tmp_path / "fake.npz", *base, "--format", "csv", "-o"]),
        (tmp_path / "fake.npz", "~/fake.npz", ["score", folder, "--ref", "~/fake.npz", *never, "--format=csv", "-o"]),
        (folder / "0001.png", "real", ["score", tmp_path / "fake.npz", *base, "--format", "csv", "-o"]),
        (folder / "0001.png", "real", ["score", "digits", "--train", folder, *never, "--format", "csv", "-o"]),
        (tmp_path / "link", "real", ["compare", tmp_path / "fake.npz", "digits", *base, "--format", "csv", "-o"]),
        (folder / "0001.png", "real", ["collapse", tmp_path / "fake.npz", *base, "--picture"]),
    ):
        before = written.read_bytes()
        said = error(*command, written)
        assert f"can't write {written}, for " in said
        assert f"{read} is read from it" in said
        assert written.read_bytes() == before
    for _ in range(2):
        run("score", folder, *FAST, "--metric", "vendi", "-o", folder / "new.csv", "--html", folder / "page.htm")


def test_two_results_take_two_files(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "x.html").symlink_to(tmp_path / "x.csv")
    base = ["score", folder, "--extractor", "no_such_module:net", "--format", "csv"]
    assert "two results" in error(*base, "-o", tmp_path / "x.csv", "--html", tmp_path / "x.html")
    assert "ends in .html" in error(*base, "--html", tmp_path / "page.pdf")
    assert list(tmp_path.glob("x*")) == [tmp_path / "x.html"]


def test_a_home_in_any_path_that_is_written_or_read(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    run("score", folder, *FAST, "--metric", "vendi", "-o", "~/a.csv", "--html", "~/a.html")
    assert (tmp_path / "a.csv").exists()
    assert (tmp_path / "a.html").exists()
    assert str(tmp_path / "none.pth") in error("score", folder, "--weights", "~/none.pth")
    assert f"from {tmp_path}" in error("score", "mnist:test", "--data-root", "~", code=4)
    paths = [
        (name, option.opts[-1], option.type)
        for name, command in {**cli.commands, **commands.__dict__}.items()
        if isinstance(command, click.Command)
        for option in command.params
        if isinstance(option.type, click.Path)
    ]
    assert {"score", "audit", "reference", "train", "bench"} <= {name for name, _, _ in paths}
    assert [option for option in paths if not isinstance(option[2], UserPath)] == []


def test_seeds_out_of_range(folder: Path) -> None:
    for command in (["score", folder], ["collapse", folder], ["compare", folder, folder, "--ref", folder], ["demo"]):
        assert "--seed" in run(*command, "--seed", -1, code=2).stderr


def test_a_result_may_go_to_a_pipe_or_through_a_link(folder: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.csv"
    kept.write_text("old")
    link = tmp_path / "link.csv"
    link.symlink_to(kept)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    for place in (link, pipe):
        run("score", folder, *FAST, "--metric", "vendi", "--format", "csv", "-o", place)
    assert link.is_symlink()
    assert kept.read_text() == os.read(reader, 1 << 16).decode()
    assert kept.read_text().startswith("metric,")
    assert pipe.is_fifo()


def test_statistics_files(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "ends in .npz" in error("reference", folder, "-o", tmp_path / "real", *FAST)
    images = tmp_path / "images.npz"
    np.savez(images, REAL)
    before = images.read_bytes()
    assert "the images themselves" in error("reference", images, "-o", images, *FAST)
    assert images.read_bytes() == before
    run("reference", folder, "-o", tmp_path / "real.npz", "--extractor", "pixels:2", "--keep-features")
    monkeypatch.setenv("HOME", str(tmp_path))
    report = ganeval.score(FAKE, "~/real.npz", extractor="pixels:2", metrics=["fid"])
    assert report.reference
    assert report.reference.n == len(REAL)
    assert "only a reference" in error("score", folder, "--ref", folder, "--train", tmp_path / "real.npz", *FAST)


def test_a_verdict_can_rest_on_kept_features(folder: Path, tmp_path: Path) -> None:
    kept = tmp_path / "real.npz"
    run("reference", folder, "-o", kept, "--extractor", "classifier:digits", "--keep-features")
    fakes = save(tmp_path / "fakes", FAKE)
    assert "ganeval collapse" in ganeval.score(fakes, kept).skipped["collapse"]
    assert "features" in run("score", fakes, "--ref", kept, "--fail-on-collapse").stdout


def test_the_file_of_a_reference_batch_with_its_images(tmp_path: Path) -> None:
    """As guided-diffusion's evaluation gives them: images as arr_0 beside mu and sigma of a whole data set."""
    batch = tmp_path / "batch.npz"
    rows = ganeval.extract(REAL, "pixels:2").pooled.double().numpy()
    np.savez(batch, arr_0=REAL, mu=rows.mean(0), sigma=np.cov(rows.T))
    assert is_statistics(batch)
    assert holds_images(batch)
    assert len(open_images(batch)) == len(REAL)
    report = ganeval.score(FAKE, batch, extractor="pixels:2", metrics=["fid"])
    assert any("images too, which are not read" in warning for warning in report.warnings)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: zipfile.ZipFile(path, "w").writestr("a.png", b"x"), "a.png"),
        (lambda path: path.write_bytes(flipped(path)), "can't read"),
    ],
)
def test_damaged_npz(tmp_path: Path, damage: Callable[[Path], object], words: str) -> None:
    path = tmp_path / "x.npz"
    np.savez_compressed(path, RANDOM.randint(0, 255, (50, 8, 8, 3), dtype=np.uint8))
    damage(path)
    with pytest.raises(GanevalError, match=words):
        open_images(path)


RANDOM = np.random.RandomState(3)


def flipped(path: Path) -> bytes:
    content = bytearray(path.read_bytes())
    for i in range(300, 400):
        content[i] ^= 0xFF
    return bytes(content)


def test_an_npz_that_is_called_npy(tmp_path: Path) -> None:
    with open(tmp_path / "x.npy", "wb") as file:
        np.savez(file, REAL)
    with pytest.raises(GanevalError, match="rename it"):
        open_images(tmp_path / "x.npy")


def test_images_in_bfloat16() -> None:
    images = torch.from_numpy(REAL[:4]).permute(0, 3, 1, 2) / 255
    assert len(open_images(images.bfloat16())) == 4


def test_sizes_that_change_from_batch_to_batch(tmp_path: Path) -> None:
    class Plain(Untouched):
        def resize(self, pixels: torch.Tensor) -> torch.Tensor:
            return pixels

        def __call__(self, pixels: torch.Tensor) -> tuple[torch.Tensor, None]:
            return pixels.flatten(1).float(), None

    save(tmp_path / "x", REAL[:8], [f"a{i}.png" for i in range(8)])
    save(tmp_path / "x", REAL[:4, :6, :6], [f"b{i}.png" for i in range(4)])
    with pytest.raises(GanevalError, match="several sizes"):
        ganeval.extract(tmp_path / "x", Plain(), batch_size=8, cache=False)


def test_a_bitmap_is_not_of_16_bits_for_the_length_of_its_rows(tmp_path: Path) -> None:
    for width in (55, 56):
        Image.new("RGB", (width, 8), (width, 9, 9)).save(tmp_path / f"{width}.bmp")
    assert not any(open_images(tmp_path)[i].treatments for i in range(2))


def test_features_are_drawn_from_too() -> None:
    fake, real = (ganeval.extract(images, "pixels:2") for images in (FAKE, REAL))
    report = ganeval.score(fake, real, n=50, metrics=["fid"])
    assert report["fid"].n_fake == report["fid"].n_real == 50


def test_one_constant_image_everywhere() -> None:
    same = np.ones((60, 4))
    assert fid_debiased(same, same).value == 0


def test_a_metric_of_a_plugin_is_never_taken_from_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    from ganeval.registry import METRICS, Metric
    from ganeval.types import Estimate

    factor = [1.0]

    def mine(fake: torch.Tensor, real: torch.Tensor) -> Estimate:
        return Estimate(factor[0] * float(fake.mean()))

    monkeypatch.setitem(METRICS, "mine", Metric("mine", mine, "Mine", "lower", ""))
    once = ganeval.score(FAKE, REAL, extractor="pixels:2", metrics=["mine"])["mine"].value
    factor[0] = 1000.0
    assert ganeval.score(FAKE, REAL, extractor="pixels:2", metrics=["mine"])["mine"].value == 1000 * once


def test_images_that_were_skipped_are_called_what_they_are_called_now(folder: Path, tmp_path: Path) -> None:
    (folder / "0007.png").write_bytes(b"broken")
    ganeval.score(folder, extractor="pixels:2", metrics=["vendi"], skip_bad=True)
    folder.rename(tmp_path / "moved")
    report = ganeval.score(tmp_path / "moved", extractor="pixels:2", metrics=["vendi"], skip_bad=True)
    assert any("moved/0007.png" in warning for warning in report.warnings)


def test_other_commands_warn_of_the_images_too(folder: Path, tmp_path: Path) -> None:
    photos = tmp_path / "jpeg"
    photos.mkdir()
    for i, image in enumerate(FAKE):
        Image.fromarray(image).save(photos / f"{i}.jpg")
    (photos / "broken.jpg").write_bytes(b"broken")
    plain = save(tmp_path / "plain", FAKE)
    said = run("compare", photos, plain, "--ref", folder, *FAST, "--metric", "kid", "--skip-bad").stderr
    assert "warning: A: the samples are JPEG and the reference are not" in said
    assert "the images of A are JPEG and those of B are not" in said
    assert "broken.jpg" in said
    assert "broken.jpg" in run("collapse", photos, "--ref", folder, *FAST, "--skip-bad").stderr
    assert "broken.jpg" in run("reference", photos, "-o", tmp_path / "s.npz", *FAST, "--skip-bad").stderr


@pytest.fixture
def classes(tmp_path: Path) -> tuple[Path, Path]:
    fake = save(tmp_path / "fake", FAKE, [f"{'ax'[i % 2]}/{i}.png" for i in range(120)])
    return fake, save(tmp_path / "real", REAL, [f"{'abc'[i % 3]}/{i}.png" for i in range(120)])


def test_classes_of_one_side_only_are_named(classes: tuple[Path, Path]) -> None:
    fake, real = classes
    report = ganeval.score(fake, real, extractor="pixels:2", metrics=["fid"], by_class=True)
    assert any("classes of the reference that the samples lack" in w and w.endswith(": b, c") for w in report.warnings)
    assert any("classes of the samples that the reference lack" in w and w.endswith(": x") for w in report.warnings)


def test_classes_are_in_every_form(classes: tuple[Path, Path], tmp_path: Path) -> None:
    fake, real = classes
    both = ["--ref", real, *FAST, "--metric", "fid", "--by-class"]
    for form, row in (("table", "mean "), ("md", "| mean |"), ("tex", "mean &")):
        assert row in run("score", fake, *both, "--format", form).stdout
        assert run("score", fake, real, *both, "--format", form).stdout.count(row) == 2
    lines = run("score", fake, real, *both, "--format", "csv").stdout.splitlines()
    assert lines[0].startswith("samples,class,n")
    assert len(lines) == 1 + 2 + 1 + 3


def test_a_metric_that_one_of_several_sets_lacks(tmp_path: Path) -> None:
    few = save(tmp_path / "few", FAKE[:8])
    many = save(tmp_path / "many", FAKE)
    done = run("score", many, few, "--extractor", "classifier:digits", "--ref", save(tmp_path / "r", REAL)).stdout
    assert "IS (other" in done
    assert "few: inception_score:" in " ".join(done.split())


def test_the_warning_on_fid_debiased_needs_no_fid() -> None:
    report = ganeval.score(FAKE, REAL, extractor="pixels:8", metrics=["fid_debiased"])
    assert any(warning.startswith("FD, debiased: no interval") for warning in report.warnings)


def test_file_names_that_are_no_text(tmp_path: Path) -> None:
    folder = save(tmp_path / "x", FAKE)
    (folder / "0000.png").rename(folder / os.fsdecode(b"caf\xe9.png"))
    run("score", folder, *FAST, "--metric", "vendi", "--html", tmp_path / "page.html")


def test_the_demo_leaves_a_users_folder_alone(tmp_path: Path) -> None:
    kept = save(tmp_path / "runs" / "honest", FAKE[:3])
    assert "not an earlier demo's" in error("demo", "-o", tmp_path / "runs")
    assert len(list(kept.iterdir())) == 3


def test_offline_is_one_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    from ganeval.files import offline

    for value, expected in (("", False), ("0", False), ("1", True)):
        monkeypatch.setenv("GANEVAL_OFFLINE", value)
        assert offline() is expected


def test_a_rank_without_a_world_still_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert "does not exist" in error("score", "./nosuch")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"WORLD_SIZE": "abc", "RANK": "0"}, "WORLD_SIZE='abc' is no whole number"),
        ({"WORLD_SIZE": "2", "RANK": "x"}, "RANK='x' is no whole number"),
        ({"WORLD_SIZE": "2", "RANK": "2"}, "RANK=2 with WORLD_SIZE=2"),
        ({"WORLD_SIZE": "2", "RANK": "0"}, "MASTER_ADDR"),
    ],
)
def test_a_job_that_was_set_up_by_hand(folder: Path, variables: dict[str, str], said: str) -> None:
    line = error("score", folder, "--ref", folder, *FAST, env=variables)
    assert said in line
    assert "torchrun" in line or "from 0 to 1" in line


def test_a_card_by_a_number_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "first")
    with pytest.raises(GanevalError, match="LOCAL_RANK='first'"):
        pick_device("auto")


def test_more_processes_than_the_machine_can_have(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed.subprocess, "Popen", None)
    monkeypatch.setattr(distributed.os, "cpu_count", lambda: 2)
    assert "2 processor cores; give 1 to 4" in error("score", folder, "--gpus", 1_000_000, "--device", "cpu")
    monkeypatch.setattr(distributed.os, "cpu_count", lambda: 16)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    assert "8 CUDA cards; give 1 to 8" in error("reference", folder, "-o", "x.npz", "--gpus", 9)
    distributed.check_processes(8, "auto")
    distributed.check_processes(16, "cpu")


def test_a_job_that_fails_to_start_leaves_no_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = []

    class Child:
        def __init__(self, *_: object, env: dict[str, str]) -> None:
            if env["RANK"] == "2":
                raise OSError(11, "Resource temporarily unavailable")
            self.rank = env["RANK"]

        def terminate(self) -> None:
            ended.append(self.rank)

        def wait(self) -> None:
            pass

    monkeypatch.setattr(distributed.subprocess, "Popen", Child)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(OSError, match="Resource"):
        distributed.launch(3, "cpu")
    signal.signal(signal.SIGTERM, before)
    assert ended == ["0", "1"]


def test_names_that_a_terminal_would_obey(tmp_path: Path) -> None:
    name = "a\n\x1b[31m\a\u202eb"
    assert r"a\n\x1b[31m\x07\u202eb" in error("score", tmp_path / name, *FAST)
    folder = save(tmp_path / "x", FAKE[:4])
    done = run("score", folder, *FAST, "--metric", "vendi", "-o", tmp_path / f"{name}.csv")
    assert r"a\n\x1b[31m\x07\u202eb.csv" in done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"extractor": "pixels:4"}, "were made by pixels.*2.* and those of the extractor by pixels.*4"),
        ({"precision": "bf16"}, "precision=bf16: .* were made by .*/fp32; leave it out"),
        ({"weights": "some.pth"}, "weights=some.pth.*leave it out"),
    ],
)
def test_an_extractor_that_did_not_make_the_given_features_is_refused(options: dict[str, Any], said: str) -> None:
    fake, real = (ganeval.extract(images, "pixels:2", cache=False) for images in (FAKE, REAL))
    with pytest.raises(GanevalError, match=said):
        ganeval.score(fake, real, metrics=["fid"], **options)
    report = ganeval.score(fake, real, metrics=["fid"], extractor="pixels:2")
    assert report.extractor.precision == "fp32"
    assert ganeval.score(fake, real, metrics=["fid"])["fid"].value == report["fid"].value


def test_the_precision_of_features_that_do_not_say_it_is_unknown() -> None:
    rows = ganeval.Features(torch.randn(60, 4), None, "mine")
    assert ganeval.score(rows, None, metrics=["vendi"]).extractor.precision == "unknown"


def test_floats_cast_to_bytes_unscaled_are_said(tmp_path: Path) -> None:
    dark = (FAKE / 255).astype(np.uint8)
    report = ganeval.score(dark, REAL, extractor="pixels:2", metrics=["fid"])
    assert any("all values are 0 or 1" in line for line in report.warnings)
    report = ganeval.score(FAKE, REAL, extractor="pixels:2", metrics=["fid"])
    assert not any("all values are 0 or 1" in line for line in report.warnings)


def test_one_colour_image_is_no_stack_of_grey_ones() -> None:
    with pytest.raises(GanevalError, match=r"one colour image has; give x\[None\]"):
        open_images(np.zeros((32, 32, 3), np.uint8))


def test_labels_that_are_none_are_said_why(tmp_path: Path) -> None:
    path = tmp_path / "floats.npz"
    np.savez(path, arr_0=FAKE, arr_1=np.zeros(len(FAKE)))
    assert "arr_1 is float64" in error("score", str(path), "--ref", "digits:test", *FAST, "--by-class")


@pytest.mark.parametrize("which", [0, None, torch.tensor(3), [[0, 1], [2, 3]]])
def test_features_are_taken_by_lists_of_rows(which: Any) -> None:
    rows = ganeval.Features(torch.arange(20.0).view(10, 2), None, "mine")
    assert rows[::-3].pooled[:, 0].tolist() == [18.0, 12.0, 6.0, 0.0]
    assert rows[torch.arange(10) > 7].pooled[:, 0].tolist() == [16.0, 18.0]
    with pytest.raises(TypeError, match="no list of rows"):
        rows[which]


def test_verdicts_and_features_say_what_they_take() -> None:
    images: Any = FAKE
    with pytest.raises(GanevalError, match=r"fake is a ndarray; give Features: .*ganeval\.extract"):
        ganeval.collapse_test(images, images)
    with pytest.raises(GanevalError, match="real is a ndarray"):
        ganeval.memorisation_test(ganeval.Features(torch.randn(9, 2), None, "mine"), images, images)
    with pytest.raises(GanevalError, match=r"pooled as a tensor \(N, D\), got ndarray"):
        ganeval.Features(images, None, "mine")
    rows = torch.randn(9, 2)
    with pytest.raises(GanevalError, match=r"logits as a tensor \(N, C\) for 9 rows, got \(8, 2\)"):
        ganeval.Features(rows, rows[1:], "mine")
    with pytest.raises(GanevalError, match=r"labels as a tensor \(N,\) for 9 rows, got \(9, 2\)"):
        ganeval.Features(rows, None, "mine", labels=rows)


X, Y = torch.randn(2, 60, 8, generator=torch.Generator().manual_seed(0))
NO_COUNT: Any = 2.5
NO_SEED: Any = 0.5
SET = ganeval.Features(torch.cat([X, Y]), None, "mine")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: metrics.precision(X, Y, k=NO_COUNT), "k=2.5; give a whole number"),
        (lambda: metrics.one_nn_accuracy(X, Y, k=True), "k=True; give a whole number"),
        (lambda: metrics.kid(X, Y, seed=-1), "seed=-1; give a whole number"),
        (lambda: metrics.ndb(X, Y, seed=2**40), "seed=1099511627776; give a whole number"),
        (lambda: metrics.fid(X.to_sparse(), Y), "fake must be one dense matrix"),
        (lambda: metrics.fid(X.numpy().astype(complex), Y), "real numbers, got torch.complex128"),
        (lambda: metrics.mmd(X, Y, sigma=-1), "sigma=-1 of mmd"),
        (lambda: ganeval.collapse_test(SET, SET, seed=-1), "seed=-1; give a whole number"),
        (lambda: ganeval.collapse_test(SET, None, seed=NO_SEED), "seed=0.5; give a whole number"),
        (lambda: ganeval.memorisation_test(SET, SET, SET, seed=-1), "seed=-1; give a whole number"),
    ],
)
def test_what_metrics_do_not_take(call: Callable[[], object], said: str) -> None:
    with pytest.raises(GanevalError, match=said):
        call()


def test_numpy_s_numbers_are_numbers() -> None:
    three: Any = np.int64(3)
    assert metrics.precision(X, Y, k=three) == metrics.precision(X, Y, k=3)
    assert metrics.kid(X, Y, seed=three) == metrics.kid(X, Y, seed=3)


def test_a_folder_is_no_statistics_file(tmp_path: Path) -> None:
    with pytest.raises(GanevalError, match="is a folder, not statistics; `ganeval reference"):
        ganeval.Stream("pixels:2", reference=tmp_path)


def test_a_stream_says_where_its_distance_can_not_be_trusted() -> None:
    stream = ganeval.Stream(None)
    stream.update(X[:5], real=False)
    stream.update(Y, real=True)
    assert "can't be trusted at n = 5 with 8 features" in stream.compute()["fid"].details["warning"]
    stream.update(X[5:], real=False)
    assert "warning" not in stream.compute()["fid"].details
