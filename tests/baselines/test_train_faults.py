"""What goes wrong with a run: one clear error that names what and how to mend it, and nothing saved is lost."""

from __future__ import annotations

import errno
import io
import os
import random
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from ganeval_baselines import data as datasets
from ganeval_baselines import train as harness
from ganeval_baselines.log import Log
from ganeval_baselines.plan import Run, plan
from ganeval_baselines.train import train
from PIL import Image

from ganeval.cli import cli
from ganeval.errors import GanevalError
from tests.baselines.conftest import data_of, run_of
from tests.baselines.test_train import StopError, kept, same

RING = data_of("ring8")


def folder_of(root: Path, side: int, n: int = 30, other: int | None = None) -> Path:
    """A folder of n grey-noise images without labels, half of them of another side where one is given."""
    root.mkdir()
    pixels = np.random.default_rng(0)
    for i in range(n):
        here = other if other and i % 2 else side
        Image.fromarray(pixels.integers(0, 256, (here, here, 3), dtype=np.uint8)).save(root / f"{i}.png")
    return root


# The plan


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nsgann", "did you mean 'nsgan'"),
        ("wgan-gpp", "did you mean 'wgan_gp'"),
        ("vae9000", "unknown model 'vae9000'"),
    ],
)
def test_an_unknown_model(name: str, said: str) -> None:
    with pytest.raises(GanevalError, match=said):
        plan(name, RING, 0, 100)


def test_hyphens_stand_for_underscores() -> None:
    run = plan("WGAN-GP", RING, 0, 100, {"penalty-weight": "3"})
    assert (run.model, vars(run.settings)["penalty_weight"]) == ("wgan_gp", 3.0)


@pytest.mark.parametrize(
    ("key", "text", "said"),
    [
        ("learning_rat", "1", "unknown setting of nsgan 'learning_rat'; did you mean 'learning_rate'"),
        ("clip", "1", "unknown setting of nsgan 'clip'"),
        ("batch_size", "3.5", "setting batch_size of nsgan must be a whole number, got '3.5'"),
        ("batch_size", "many", "must be a whole number, got 'many'"),
        ("learning_rate", "fast", "must be a number, got 'fast'"),
        ("generator_learning_rate", "fast", "must be a number, got 'fast'"),
        ("optimiser", "adamw", "must be adam or rmsprop or sgd, got 'adamw'"),
        ("decay", "cosine", "must be none or linear, got 'cosine'"),
        ("learning_rate", "-1", "must be 0 or more, got '-1'"),
        ("learning_rate", "nan", "must be 0 or more, got 'nan'"),
        ("beta1", "1.5", "must be 0 or more and below 1, got '1.5'"),
        ("learning_rate", "inf", "must be 0 or more, got 'inf'"),
        ("latent_dim", "-2", "must be 1 or more, got '-2'"),
        ("width", "0", "must be 1 or more, got '0'"),
        ("batch_size", "1", "batch_size is 1; batch normalisation needs 2 or more"),
    ],
)
def test_a_setting_that_can_not_be(key: str, text: str, said: str) -> None:
    with pytest.raises(GanevalError) as caught:
        plan("nsgan", RING, 0, 100, {key: text})
    assert said in str(caught.value)


def test_settings_take_their_declared_type() -> None:
    texts = {"batch_size": "32", "learning_rate": "1e-3", "generator_learning_rate": "none", "optimiser": "sgd"}
    made = vars(plan("infogan", RING, 0, 100, texts).settings)
    assert {key: made[key] for key in texts} == {
        "batch_size": 32, "learning_rate": 1e-3, "generator_learning_rate": None, "optimiser": "sgd",
    }  # fmt: skip
    assert vars(plan("infogan", RING, 0, 100, {"generator_learning_rate": "2e-3"}).settings)[
        "generator_learning_rate"
    ] == pytest.approx(2e-3)


@pytest.mark.parametrize(("seed", "examples", "said"), [(-1, 100, "the seed is -1"), (0, 0, "the budget is 0")])
def test_a_run_of_nothing(seed: int, examples: int, said: str) -> None:
    with pytest.raises(GanevalError, match=said):
        plan("nsgan", RING, seed, examples)


@pytest.mark.parametrize("model", ["cgan", "acgan", "ssgan"])
def test_a_conditional_model_wants_labels(model: str, tmp_path: Path) -> None:
    data = datasets.load(str(folder_of(tmp_path / "plain", 8)))
    with pytest.raises(GanevalError, match=f"{model} needs class labels, and plain has none; .*class folders"):
        plan(model, data, 0, 100)


@pytest.mark.parametrize("model", ["dcgan", "ebgan"])
def test_a_model_of_images_is_not_for_points(model: str) -> None:
    with pytest.raises(GanevalError, match=f"{model} trains on images, and ring8 is a 2-D mixture"):
        plan(model, RING, 0, 100)


def test_an_image_size_without_a_network(tmp_path: Path) -> None:
    folder = str(folder_of(tmp_path / "plain", 20))
    with pytest.raises(GanevalError, match=r"no network for images of 20x20.*--image-size 32"):
        plan("nsgan", datasets.load(folder), 0, 100)
    assert plan("nsgan", datasets.load(folder, image_size=32), 0, 100).data.shape == (3, 32, 32)


# Checkpoints


@pytest.fixture
def saved(folder: Path) -> Path:
    """The folder of a finished run of three steps."""
    train(run_of("nsgan", steps=3), folder)
    return folder


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": 1}, "seed is 0 there and 1 here"),
        ({"steps": 4}, "examples is 48 there and 64 here"),
        ({"learning_rate": 0.5}, "learning_rate is 0.001 there and 0.5 here"),
        ({"model": "lsgan"}, "model is 'nsgan' there and 'lsgan' here"),
        ({"model": "wgan_gp"}, "model is 'nsgan' there and 'wgan_gp' here"),
        ({"data": "grid25"}, "data is 'ring8' there and 'grid25' here"),
    ],
)
def test_a_checkpoint_of_another_run(saved: Path, change: dict[str, Any], said: str) -> None:
    before = {path.name: path.read_bytes() for path in saved.iterdir()}
    with pytest.raises(GanevalError) as caught:
        train(run_of(**{"model": "nsgan", "steps": 3, **change}), saved)
    assert f"checkpoint.pt belongs to another run: {said}" in str(caught.value)
    assert "choose another --out" in str(caught.value)
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before


def other_content() -> bytes:
    buffer = io.BytesIO()
    torch.save([torch.zeros(3)], buffer)
    return buffer.getvalue()


def flipped(whole: bytes, at: int) -> bytes:
    return whole[:at] + bytes([whole[at] ^ 16]) + whole[at + 1 :]


DAMAGE = {
    "empty": lambda whole: b"",
    **{f"cut at {share:.0%}": lambda whole, share=share: whole[: int(len(whole) * share)]
       for share in (0.001, 0.1, 0.5, 0.9, 0.999)},
    "last byte missing": lambda whole: whole[:-1],
    # One bit of a weight, of which torch.load by itself takes no notice.
    **{f"bit flipped at {share:.0%}": lambda whole, share=share: flipped(whole, int(len(whole) * share))
       for share in (0.2, 0.4, 0.6, 0.8)},
    "bit flipped in the pickle": lambda whole: flipped(whole, whole.index(b"learning_rate") + 3),
    "a hole of zeros": lambda whole: whole[:4096] + bytes(4096) + whole[8192:],
    "random bytes": lambda whole: random.Random(0).randbytes(5000),
    "text": lambda whole: b"{}",
    "another file of torch's": lambda whole: other_content(),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_checkpoint_that_is_not_whole(saved: Path, kind: str) -> None:
    damaged = DAMAGE[kind]((saved / "checkpoint.pt").read_bytes())
    (saved / "checkpoint.pt").write_bytes(damaged)
    log = (saved / "log.jsonl").read_bytes()
    with pytest.raises(GanevalError, match=r"checkpoint.pt is no .*checkpoint .*; delete it to begin anew"):
        train(run_of("nsgan", steps=3), saved)
    assert (saved / "checkpoint.pt").read_bytes() == damaged
    assert (saved / "log.jsonl").read_bytes() == log


@pytest.mark.parametrize("rest", ['{"step": 3', '{"step": 3, "loss": {}', "\0\0\0", "{"])
def test_a_last_line_of_the_log_that_was_cut_short(folder: Path, rest: str) -> None:
    folder.mkdir()
    log = Log(folder / "log.jsonl")
    for step in (1, 2, 3):
        log.write({"step": step})
    with log.path.open("a") as file:
        file.write(rest)
    log.rewind(2)
    assert log.path.read_text() == '{"step": 1}\n{"step": 2}\n'


# A full disk


def stopped(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Trains the run until its checkpoint of step `at`."""

    def stop(state: harness.State) -> dict[str, float]:
        if state.step > at:
            raise StopError
        return {}

    monkeypatch.setattr(harness, "CHECKPOINT_SECONDS", -1.0)
    with pytest.raises(StopError):
        train(run, folder, look=stop, look_every=1)
    assert kept(folder)["step"] == at


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_is_full_at_the_end_of_a_file(folder: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    run = run_of("nsgan", steps=6)
    stopped(run, folder, monkeypatch, 3)
    before = (folder / "checkpoint.pt").read_bytes()
    real = getattr(os, call)

    def full(*arguments: Any) -> None:
        name = os.readlink(f"/proc/self/fd/{arguments[0]}") if call == "fsync" else str(arguments[1])
        if "checkpoint.pt" in name:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(GanevalError, match=r"could not write .*checkpoint.pt: No space left on device"):
            train(run, folder)
    assert (folder / "checkpoint.pt").read_bytes() == before
    assert not list(folder.glob(".*.partial"))
    # Once there is room again, the run goes on to where it would have come.
    train(run, folder)
    train(run, folder.parent / "whole")
    assert same(kept(folder), kept(folder.parent / "whole"))


@pytest.mark.parametrize(("room", "name"), [(0.5, "checkpoint.pt"), (0.99, "checkpoint.pt"), (1e-6, "log.jsonl")])
def test_a_disk_that_is_full_in_the_middle_of_a_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch, room: float, name: str
) -> None:
    run = run_of("nsgan", steps=6)
    stopped(run, folder, monkeypatch, 3)
    before = (folder / "checkpoint.pt").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(len(before) * room), limits[1]))
    try:
        with pytest.raises(GanevalError, match=rf"could not write .*{name}: File too large"):
            train(run, folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert (folder / "checkpoint.pt").read_bytes() == before
    assert not list(folder.glob(".*.partial"))


def test_what_a_killed_run_was_writing_is_cleared_but_not_what_another_process_may_be(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("checkpoint.pt", "samples.npz"):
        (folder / f".{name}.abc.partial").touch()
    train(run_of("nsgan", steps=2), folder)
    assert [path.name for path in folder.glob(".*.partial")] == [".samples.npz.abc.partial"]


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    with pytest.raises(OSError, match="File exists"):
        train(run_of("nsgan"), tmp_path / "run")
    assert (tmp_path / "run").read_text() == "mine"


# The command line


def complaint(*arguments: object) -> str:
    """The one line of a command that exits with 2 and prints nothing else."""
    done = CliRunner().invoke(cli, [str(argument) for argument in arguments], prog_name="ganeval")
    assert done.exit_code == 2, done.output + str(done.exception)
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    return line


TRAIN = ("train", "nsgan", "--data", "ring8", "--budget", 64)


def test_the_command_line_says_it_in_one_line(tmp_path: Path) -> None:
    out = ("--out", tmp_path / "run")
    assert "did you mean 'nsgan'" in complaint("train", "nsgann", *TRAIN[2:], *out)
    assert "did you mean 'ring8'" in complaint("train", "nsgan", "--data", "ring9", *out)
    assert "did you mean 'batch_size'" in complaint(*TRAIN, *out, "--set", "batchsize=4")
    assert "must be a whole number" in complaint(*TRAIN, *out, "--set", "batch_size=4.5")
    assert "write it as --set key=value" in complaint(*TRAIN, *out, "--set", "batch_size")
    assert "the budget is 0" in complaint(*TRAIN[:4], "--budget", 0, *out)
    with pytest.raises(GanevalError, match="the seed is -3"):
        plan("nsgan", RING, -3, 100)
    plain = folder_of(tmp_path / "plain", 8)
    assert "needs class labels" in complaint("train", "cgan", "--data", plain, "--extractor", "pixels:8", *out)
    mixed = folder_of(tmp_path / "mixed", 8, other=10)
    assert "2 sizes" in complaint("train", "nsgan", "--data", mixed, *out)
    assert not (tmp_path / "run").exists()


def test_the_command_line_on_a_checkpoint_that_it_can_not_take_up(saved: Path) -> None:
    told = complaint(*TRAIN, "--out", saved, "--set", "batch_size=16")
    assert "belongs to another run: examples is 48 there and 64 here" in told
    (saved / "checkpoint.pt").write_bytes(b"PK\3\4 nothing")
    assert "is no whole checkpoint" in complaint(*TRAIN, "--out", saved)


@pytest.mark.slow
def test_the_command_line_on_a_full_disk(tmp_path: Path) -> None:
    command = f"ulimit -f 100; exec {sys.executable} -m ganeval train nsgan --data ring8 --budget 640 --out {tmp_path}"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert "checkpoint.pt: File too large" in line
