"""A suite of runs: what is skipped, taken up, refused, recorded as failed; in this process, in two, on a cluster."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from ganeval_baselines import bench as suites
from ganeval_baselines import evaluate
from ganeval_baselines import train as harness
from ganeval_baselines.base import GAN
from ganeval_baselines.bench import SUITES, Places, Suite, bench, budget_of, name_of, suite_of
from ganeval_baselines.gans.lsgan import LSGAN
from ganeval_baselines.plan import plan
from ganeval_baselines.sanity import TITLES
from ganeval_baselines.train import train
from joblib.externals.loky.process_executor import TerminatedWorkerError

from ganeval.cli import cli
from ganeval.errors import GanevalError
from tests.baselines.conftest import data_of
from tests.baselines.test_train import StopError

SUITE = Suite("ring8", 128 * 4, ("nsgan", "lsgan"), seeds=1)
RUNS = {"ring8/nsgan-seed0", "ring8/lsgan-seed0"}


@pytest.fixture(autouse=True)
def few_points(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "POINTS", 120)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path / "records", tmp_path / "runs")


def record(places: Places, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((places.records / f"{name}.json").read_bytes())
    return found


def trained(came: dict[str, str]) -> dict[str, str]:
    """What came of the runs that train something."""
    return {name: text for name, text in came.items() if name.split("/")[1].rpartition("-")[0] not in TITLES}


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_every_run_gets_its_record(places: Places) -> None:
    told: list[str] = []
    came = bench(SUITE, places, told=told.append)
    assert set(trained(came)) == RUNS
    assert len(told) == len(came) == len(RUNS) + len(TITLES)
    for name in RUNS:
        found = record(places, name)
        assert (found["status"], found["seed"], found["budget"]["examples"]) == ("ok", 0, 512)
        assert found["budget"]["d_steps"] == found["budget"]["g_steps"] == 4
        assert found["metrics"]["modes"]["value"] <= 8
        assert (places.runs / name / "checkpoint.pt").exists()
        assert found["command"] == f"ganeval train {found['model']} --data ring8 --seed 0 --budget 512"


def test_finished_runs_are_skipped(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    bench(SUITE, places)
    before = files(places.records)
    monkeypatch.setattr(suites, "_one", None)
    assert set(bench(SUITE, places).values()) == {"was there"}
    assert files(places.records) == before


def test_one_seed_more_is_records_more_and_changes_none(places: Places) -> None:
    bench(SUITE, places)
    before = files(places.records)
    came = bench(SUITE, places, seeds=2)
    after = files(places.records)
    assert {name for name, text in trained(came).items() if text != "was there"} == {
        "ring8/nsgan-seed1", "ring8/lsgan-seed1",
    }  # fmt: skip
    assert {name: after[name] for name in before} == before
    seeds = [record(places, f"ring8/nsgan-seed{seed}")["samples_sha256"] for seed in (0, 1)]
    assert seeds[0] != seeds[1]


def test_a_begun_run_is_taken_up(places: Places, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run = plan("nsgan", data_of("ring8"), 0, SUITE.examples)

    def stop(state: harness.State) -> dict[str, float]:
        if state.step == 3:
            raise StopError
        return {}

    with monkeypatch.context() as patch:
        patch.setattr(harness, "CHECKPOINT_SECONDS", -1.0)
        with pytest.raises(StopError):
            train(run, places.runs / name_of(run), look=stop, look_every=1)
    steps: list[int] = []
    one_step = harness.one_step
    with monkeypatch.context() as patch:
        patch.setattr(harness, "one_step", lambda state, *rest: steps.append(state.step) or one_step(state, *rest))
        bench(SUITE, places, models=["nsgan"])
    assert steps == [2, 3]
    whole = Places(tmp_path / "other", tmp_path / "others")
    bench(SUITE, whole, models=["nsgan"])
    assert record(places, name_of(run))["samples_sha256"] == record(whole, name_of(run))["samples_sha256"]


def test_a_run_that_raises_stops_no_other_and_is_tried_again(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no such luck")

    with monkeypatch.context() as patch:
        patch.setattr(LSGAN, "generator_loss", broken)
        came = trained(bench(SUITE, places, models=["lsgan", "nsgan"]))
    assert came["ring8/lsgan-seed0"] == "failed: RuntimeError: no such luck"
    failed = record(places, "ring8/lsgan-seed0")
    assert (failed["status"], failed["reason"], failed["metrics"]) == ("failed", "RuntimeError: no such luck", {})
    assert "in broken" in (places.runs / "ring8/lsgan-seed0/error.txt").read_text()
    assert record(places, "ring8/nsgan-seed0")["status"] == "ok"
    came = trained(bench(SUITE, places))
    assert came["ring8/nsgan-seed0"] == "was there"
    assert record(places, "ring8/lsgan-seed0")["status"] == "ok"


def test_a_run_that_diverges_is_a_result(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(self: GAN, batch: object) -> dict[str, torch.Tensor]:
        return {"adversarial": torch.stack([weight.sum() for weight in self.generator.parameters()]).sum() * torch.nan}

    with monkeypatch.context() as patch:
        patch.setattr(LSGAN, "generator_loss", nowhere)
        came = trained(bench(SUITE, places))
    assert came["ring8/lsgan-seed0"].startswith("diverged: generator/adversarial is not finite by step")
    found = record(places, "ring8/lsgan-seed0")
    assert (found["status"], found["metrics"], found["samples_sha256"]) == ("diverged", {}, None)
    assert trained(bench(SUITE, places))["ring8/lsgan-seed0"] == "was there"


def test_samples_that_are_not_finite_are_a_divergence(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights may be finite, and what is made of them not."""
    plain = LSGAN.sample

    def sample(self: LSGAN, n: int, labels: torch.Tensor | None = None) -> torch.Tensor:
        made = plain(self, n, labels)
        return made if self.training else made * torch.nan

    with monkeypatch.context() as patch:
        patch.setattr(LSGAN, "sample", sample)
        came = trained(bench(SUITE, places, models=["lsgan"]))
    assert came["ring8/lsgan-seed0"] == "diverged: 120 of 120 samples are not finite"
    assert record(places, "ring8/lsgan-seed0")["status"] == "diverged"


def test_a_killed_worker_ends_the_suite_in_one_line(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object, **__: object) -> Callable[[object], Iterator[tuple[str, str]]]:
        def results(_: object) -> Iterator[tuple[str, str]]:
            yield "ring8/nsgan-seed0", "ok"
            raise TerminatedWorkerError("A worker process managed by the executor was unexpectedly terminated.")

        return results

    monkeypatch.setattr(suites.joblib, "Parallel", killed)
    with pytest.raises(GanevalError, match=r"a worker was killed.*without a record are .*lsgan-seed0: run the same"):
        bench(SUITE, places, jobs=2)


def test_more_looks_than_alpha_can_be_shared_between_are_refused_before_training(tmp_path: Path) -> None:
    run = CliRunner().invoke(
        cli, ["train", "nsgan", "--data", "ring8", "--budget", "256", "--looks", "501", "--out", str(tmp_path / "run")]
    )
    assert isinstance(run.exception, GanevalError | SystemExit)
    assert "give 500 or fewer" in str(run.exception) + run.output
    assert not (tmp_path / "run/log.jsonl").exists()


def test_a_record_of_another_configuration_is_refused_before_anything_runs(places: Places) -> None:
    bench(SUITE, places, models=["nsgan"])
    before = files(places.records), files(places.runs)
    with pytest.raises(GanevalError, match=r"nsgan-seed0.json records another run: examples is 512 there and 640 here"):
        bench(SUITE, places, models=["lsgan", "nsgan"], budget=640)
    assert (files(places.records), files(places.runs)) == before


@pytest.mark.parametrize("cut", [0, 30, -3])
def test_a_record_that_was_cut_short_is_refused(places: Places, cut: int) -> None:
    bench(SUITE, places, models=["nsgan"])
    path = places.records / "ring8/nsgan-seed0.json"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(GanevalError, match=r"nsgan-seed0.json"):
        bench(SUITE, places)


@pytest.mark.parametrize(
    ("models", "said"),
    [
        (["nsgan", "lsgam"], "unknown model 'lsgam'; did you mean 'lsgan'"),
        (["nsgan", "dcgan"], "dcgan trains on images"),
    ],
)
def test_a_model_that_can_not_be_is_refused_before_anything_runs(places: Places, models: list[str], said: str) -> None:
    with pytest.raises(GanevalError, match=said):
        bench(SUITE, places, models=models)
    assert not places.records.exists()
    assert not places.runs.exists()


def test_an_unknown_suite() -> None:
    with pytest.raises(GanevalError, match="unknown suite or data set 'ringg8'; did you mean 'ring8'"):
        suite_of("ringg8")


def test_every_suite_is_in_the_help_and_once_in_the_error() -> None:
    shown = CliRunner().invoke(cli, ["bench", "--help"], prog_name="ganeval").output
    with pytest.raises(GanevalError, match="known: ") as caught:
        suite_of("qqq")
    known = str(caught.value).partition("known: ")[2].split(", ")
    for name in suites.SUITES:
        assert f"{name}," in shown
        assert known.count(name) == 1


def test_the_command_says_what_came(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [
        "bench", "ring8", "--models", "nsgan,lsgan", "--seeds", "1", "--budget", "256",
        "--records", str(places.records), "--runs", str(places.runs),
    ]  # fmt: skip
    done = CliRunner().invoke(cli, words, prog_name="ganeval")
    assert done.exit_code == 0, done.output
    assert (done.stdout, "0 were there, 0 failed" in done.stderr) == ("", True)
    done = CliRunner().invoke(cli, [*words, "--budget", "128"], prog_name="ganeval")
    assert done.exit_code == 2
    (line,) = done.stderr.splitlines()
    assert "records another run" in line
    (places.records / "ring8/lsgan-seed0.json").unlink()
    monkeypatch.setattr(LSGAN, "generator_loss", None)
    done = CliRunner().invoke(cli, [*words, "--quiet"], prog_name="ganeval")
    # The run's checkpoint was finished: there is nothing left to train that could fail.
    assert done.exit_code == 0
    done = CliRunner().invoke(cli, [*words, "--seeds", "2"], prog_name="ganeval")
    assert done.exit_code == 1
    assert "1 failed" in done.stderr


def hashes(places: Places) -> dict[str, str]:
    return {name: record(places, name)["samples_sha256"] for name in RUNS}


@pytest.mark.slow
def test_two_jobs_come_to_what_one_comes_to(places: Places, tmp_path: Path) -> None:
    bench(SUITE, places)
    two = Places(tmp_path / "two", tmp_path / "twos")
    assert set(trained(bench(SUITE, two, jobs=2))) == RUNS
    assert hashes(two) == hashes(places)
    assert record(two, "ring8/nsgan-seed0")["threads"] == 1


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(("backend", "package"), [("dask", "distributed"), ("ray", "ray")])
def test_a_cluster_of_two_workers_comes_to_what_one_process_comes_to(
    places: Places, tmp_path: Path, backend: str, package: str
) -> None:
    if not find_spec(package):
        pytest.skip(f"{package} is not installed")
    bench(SUITE, places)
    cluster = Places(tmp_path / "cluster", tmp_path / "clusters")
    assert set(trained(bench(SUITE, cluster, jobs=2, backend=backend))) == RUNS
    assert hashes(cluster) == hashes(places)


@pytest.mark.parametrize(
    ("model", "data", "suite"),
    [("dcgan", "mnist", "mnist"), ("lenet", "MNIST", "classifiers"), ("alexnet_small", "mnist", "classifiers"),
     ("lenet", "digits", "digits"), ("nsgan", "ring8", "ring8")],
)  # fmt: skip
def test_a_run_has_the_budget_of_its_suite(model: str, data: str, suite: str) -> None:
    assert budget_of(model, data) == SUITES[suite].examples
