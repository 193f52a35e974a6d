"""Records of an older version are scored anew; what users do wrong is no model's failure, and no run is passed off."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from ganeval_baselines import checkpoint, evaluate, pictures
from ganeval_baselines import data as datasets
from ganeval_baselines.bench import Places, Suite, applicable, bench
from ganeval_baselines.judges import judge_of
from ganeval_baselines.multi_mnist import MultiMNIST
from ganeval_baselines.plan import plan
from ganeval_baselines.sanity import TITLES, sanity_samples
from ganeval_baselines.train import train
from PIL import Image

from ganeval.cli import cli
from ganeval.errors import GanevalError
from ganeval.leaderboard.records import LARGEST_PNG, read
from tests.baselines.conftest import data_of, run_of
from tests.baselines.test_bench import SUITE, files, record
from tests.baselines.test_classifiers import templates

RUN = "ring8/nsgan-seed0"


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    monkeypatch.setattr(evaluate, "POINTS", 120)
    return Places(tmp_path / "records", tmp_path / "runs")


def age(path: Path) -> None:
    """Makes a record one of the first version, with other numbers, from another machine."""
    content = json.loads(path.read_bytes())
    del content["evaluation"]["version"]
    content["collapse"]["verdict"] = "suspected"
    content["packages"]["torch"] = "1.0"
    path.write_text(json.dumps(content))


def test_only_the_scores_are_renewed(places: Places) -> None:
    bench(SUITE, places)
    before = record(places, RUN)
    for path in places.records.rglob("*.json"):
        age(path)
    assert read(places.records / f"{RUN}.json")["evaluation"]["version"] == 1
    assert set(bench(SUITE, places).values()) == {"was there"}
    came = bench(SUITE, places, rescored=True, seeds=2)
    assert set(came) == {str(path.relative_to(places.records))[:-5] for path in places.records.rglob("*.json")}
    assert not any(text == "was there" or text.startswith("failed") for text in came.values())
    after = record(places, RUN)
    assert after["packages"]["torch"] == "1.0"
    assert after["evaluation"]["version"] == evaluate.VERSION
    for key in ("metrics", "collapse", "samples_sha256", "config", "command", "curve"):
        assert after[key] == before[key]
    assert set(bench(SUITE, places, rescored=True).values()) == {"was there"}


@pytest.mark.parametrize("damage", ["gone", "begun"])
def test_without_the_final_checkpoint_a_record_stays(places: Places, damage: str) -> None:
    bench(SUITE, places, models=["nsgan"])
    path, run = places.records / f"{RUN}.json", places.runs / RUN / "checkpoint.pt"
    age(path)
    if damage == "gone":
        run.unlink()
    else:
        content = torch.load(run, weights_only=True)
        torch.save(content | {"step": 1}, run)
    before = path.read_bytes()
    came = bench(SUITE, places, models=["nsgan"], rescored=True)
    assert came[RUN].startswith("failed: ")
    assert path.read_bytes() == before


@pytest.mark.parametrize("same", [True, False])
def test_samples_are_replaced_only_by_those_of_the_record(places: Places, same: bool) -> None:
    bench(SUITE, places, models=["nsgan"])
    path, run = places.records / f"{RUN}.json", places.runs / RUN
    age(path)
    if not same:
        path.write_text(json.dumps(json.loads(path.read_bytes()) | {"samples_sha256": "f" * 64}))
    made, record_before = files(run), path.read_bytes()
    for name in ("samples.npz", "samples.png"):
        (run / name).write_bytes(b"what stood here")
    came = bench(SUITE, places, models=["nsgan"], rescored=True)
    assert ("other samples" in came[RUN]) == (not same)
    assert (path.read_bytes() == record_before) == (not same)
    left = {} if same else dict.fromkeys(("samples.npz", "samples.png"), b"what stood here")
    assert files(run) == made | left


def test_a_checkpoint_of_another_run_is_no_failure_of_the_model(places: Places) -> None:
    train(run_of("nsgan"), places.runs / RUN)
    came = bench(SUITE, places, models=["nsgan"])
    assert "belongs to another run" in came[RUN]
    assert not (places.records / f"{RUN}.json").exists()


def test_a_model_whose_code_has_changed_is_not_passed_off_as_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(run_of("nsgan"), tmp_path)
    monkeypatch.setattr(checkpoint, "code_of", lambda model: "other")
    with pytest.raises(GanevalError, match=r"before its file .*nsgan\.py changed"):
        train(run_of("nsgan"), tmp_path)


def test_a_network_that_has_changed_is_one_line(tmp_path: Path) -> None:
    train(run_of("nsgan"), tmp_path)
    content = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    content["model"].popitem()
    torch.save(content, tmp_path / "checkpoint.pt")
    with pytest.raises(GanevalError, match="does not fit nsgan"):
        train(run_of("nsgan"), tmp_path)


def test_a_grid_of_noise_in_colour_is_one_that_a_board_takes(tmp_path: Path) -> None:
    noise = torch.randint(0, 256, (100, 3, 32, 32), dtype=torch.uint8)
    pictures.save(noise, tmp_path / "noise.png", data_of("digits"))
    assert LARGEST_PNG / 2 < (tmp_path / "noise.png").stat().st_size < LARGEST_PNG


def folder_of(path: Path, n: int = 40) -> Path:
    path.mkdir()
    for i, image in enumerate(torch.randint(0, 256, (n, 28, 28), dtype=torch.uint8).numpy()):
        Image.fromarray(image).save(path / f"{i}.png")
    return path


def test_a_folder_is_called_by_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder_of(tmp_path / "photos"))
    assert datasets.load(".").name == "photos"
    with pytest.raises(GanevalError, match="rename 'my photos'"):
        datasets.load(str(folder_of(tmp_path / "my photos")))


def test_images_of_another_size_are_another_training_set(tmp_path: Path) -> None:
    whole, small = (datasets.load(str(folder_of(tmp_path / name)), image_size=size) for name, size in
                    (("a", None), ("b", 8)))  # fmt: skip
    assert whole.sha256 != small.sha256
    digits = datasets.load("digits", image_size=28)
    assert digits.arguments == "digits --image-size 28"
    assert digits.sha256 != data_of("digits").sha256


def test_the_first_records_keep_the_hash_of_their_data() -> None:
    assert data_of("digits").sha256 == datasets.open_images("digits:train").content_key()


def test_pairs_are_compared_with_pairs() -> None:
    base = templates(50)
    data = MultiMNIST(
        "multi_mnist", base.pixels, base.labels, base.class_names, base.sha256, base.held_out, labels_per_image=2
    )
    reference = data.reference()
    assert reference.shape == (50, 3, 36, 36)
    for name in TITLES:
        assert sanity_samples(name, data, 40, 0).content.shape[-2:] == (36, 36)
    assert "cgan" not in applicable(data)
    assert "nsgan" in applicable(data)


def test_what_a_model_refuses_is_known_before_anything_runs() -> None:
    stacked = replace(data_of("digits"), name="stacked", stacked=3)
    assert "ssgan" not in applicable(stacked)
    assert "nsgan" in applicable(stacked)
    with pytest.raises(GanevalError, match="28x28, 32x32 and 36x36, not 8x8"):
        plan("lenet", data_of("digits"), 0, 100)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["bench", "ring8", "--jobs", "0"], "--jobs"),
        (["bench", "ring8", "--budget", "0", "--models", "nsgan"], "the budget is 0"),
        (["bench", "ring8", "--cluster", "tcp://nowhere:1", "--models", "nsgan"], "--backend dask or ray"),
        (["train", "nsgan", "--data", "ring8", "--extractor", "nonsense"], "points are scored as they are"),
        (["train", "lenet", "--data", "digits", "--image-size", "28", "--extractor", "x"], "by its test error"),
    ],
)
def test_what_can_not_apply_is_refused(arguments: list[str], words: str, tmp_path: Path,
                                       monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 2
    assert words in done.stderr
    assert not files(tmp_path)


def test_the_command_names_the_files_that_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "POINTS", 120)
    out = tmp_path / "run"
    done = CliRunner().invoke(cli, ["train", "nsgan", "--data", "ring8", "--budget", "128", "--looks", "1",
                                    "--out", str(out)])  # fmt: skip
    assert done.exit_code == 0
    named = done.stderr.splitlines()[-1].partition(": ")[2].split(", ")
    assert named == ["record.json", "samples.npz", "samples.png", "checkpoint.pt", "log.jsonl"]
    assert all((out / name).exists() for name in named)


def test_a_suite_can_be_of_a_folder_that_is_resized(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "photos", 120)
    places = Places(tmp_path / "records", tmp_path / "runs")
    came = bench(Suite(str(folder), 64, ("nsgan",), seeds=1), places, extractor="pixels:4", image_size=8)
    assert not any(text.startswith("failed") for text in came.values())
    found = record(places, "photos/nsgan-seed0")
    assert found["command"].endswith("--image-size 8 --seed 0 --budget 64")
    assert judge_of("nsgan", data_of("ring8")).evaluation()["version"] == evaluate.VERSION
