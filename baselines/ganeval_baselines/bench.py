"""A suite of runs, (model x seed) on one data set, through joblib: finished ones are skipped, begun ones taken up."""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import torch

from ganeval.errors import GanevalError, unknown
from ganeval.registry import BASELINES, get_baseline, load_plugins
from ganeval_baselines import data as datasets
from ganeval_baselines import record as records
from ganeval_baselines.data import Images, Mixture
from ganeval_baselines.evaluate import Judge, judge_of
from ganeval_baselines.train import Run, plan

NO_BUDGET = 640_000


@dataclass(frozen=True)
class Suite:
    """What `ganeval bench NAME` runs. models: None for all that the data allow. examples: the budget of each run."""

    data: str
    examples: int
    models: tuple[str, ...] | None = None
    seeds: int = 5


CARD = ("gan", "nsgan", "lsgan", "wgan", "wgan_gp", "dcgan", "cgan", "infogan")

SUITES = {
    "ring8": Suite("ring8", 25_000 * 128),
    "grid25": Suite("grid25", 25_000 * 128),
    "digits": Suite("digits", 8_000 * 64),
    "mnist": Suite("mnist", 300_000, CARD, seeds=3),
}


def suite_of(name: str) -> Suite:
    """A named suite, or the default one on any data set or folder of images."""
    key = name.lower().replace("-", "_")
    if key in SUITES:
        return SUITES[key]
    if key in datasets.NAMES or Path(name).exists():
        return Suite(name, NO_BUDGET)
    raise unknown("suite or data set", name, [*SUITES, *datasets.NAMES])


def applicable(data: Mixture | Images, kind: str = "gan") -> list[str]:
    """The registered models that can train on this data, in the registry's order."""
    load_plugins()
    return [
        name
        for name, row in BASELINES.items()
        if row.kind == kind and (data.classes or not row.labels) and (row.points or not isinstance(data, Mixture))
    ]


def bench(
    suite: Suite,
    *,
    models: Sequence[str] = (),
    seeds: int | None = None,
    budget: int | None = None,
    jobs: int = 1,
    backend: str = "loky",
    device: str = "cpu",
    extractor: str = "auto",
    records_root: Path,
    runs_root: Path,
    data_root: Path | None = None,
    progress: bool = False,
) -> list[tuple[str, str]]:
    """Runs what of the suite has no record yet, and returns (run, what came of it) for every run.

    Raises GanevalError, before anything is run, for an unknown model, one that the data do not allow, or a record
    of another configuration in the way.
    """
    data = datasets.load(suite.data, data_root=data_root)
    chosen = [get_baseline(name).name for name in models] or suite.models or applicable(data)
    runs = [
        plan(model, data, seed, budget or suite.examples)
        for seed in range(suite.seeds if seeds is None else seeds)
        for model in chosen
    ]
    todo = [run for run in runs if not _finished(run, records_root)]
    judge = judge_of(data, extractor) if todo else None
    outcomes = joblib.Parallel(n_jobs=jobs, backend=backend, verbose=0, return_as="generator_unordered")(
        joblib.delayed(_one)(run, judge, records_root, runs_root, device, jobs) for run in todo
    )
    came: dict[str, str] = {}
    for name, outcome in outcomes:
        came[name] = outcome
        if progress:
            print(f"{len(came)}/{len(todo)} {name}: {outcome}", flush=True)
    return [(run_name(run), came.get(run_name(run), "was there")) for run in runs]


def run_name(run: Run) -> str:
    return f"{run.data.name}/{run.model}-seed{run.seed}"


def _finished(run: Run, root: Path) -> bool:
    path = root / f"{run_name(run)}.json"
    if not path.exists():
        return False
    record = records.read(path)
    if record["status"] == "failed":
        return False
    if record["config_sha256"] != run.sha256():
        there, here = record["config"], run.config()
        key = next((k for k in {**there, **here} if there.get(k) != here.get(k)), "the configuration")
        raise GanevalError(
            f"{path} records another run: {key} is {there.get(key)!r} there and {here.get(key)!r} here; "
            "move it away, or choose another --records folder"
        )
    return True


def _one(run: Run, judge: Judge, records_root: Path, runs_root: Path, device: str, jobs: int) -> tuple[str, str]:
    """One run and its record; whatever goes wrong in it is its own record, and stops no other."""
    load_plugins()
    if jobs != 1:
        torch.set_num_threads(1)
    name = run_name(run)
    folder, path = runs_root / name, records_root / f"{name}.json"
    try:
        record = records.carry_out(run, folder, judge, device=device)
    except Exception as error:
        record = records.failure(run, judge, device, f"{type(error).__name__}: {error}")
        (folder / "error.txt").write_text(traceback.format_exc())
    path.parent.mkdir(parents=True, exist_ok=True)
    if run.seed == 0 and record["status"] == "ok":
        shutil.copyfile(folder / "samples.png", path.parent / f"{run.model}.png")
    records.write(record, path)
    return name, describe(record)


def describe(record: dict[str, Any]) -> str:
    """A record in a few words."""
    if record["status"] != "ok":
        return f"{record['status']}: {record['reason']}"
    shown = ("modes", "high_quality", "fid", "coverage", "test_error")
    rows = [(record["metrics"][name]["title"], record["metrics"][name]["value"]) for name in shown
            if name in record["metrics"]]  # fmt: skip
    numbers = ", ".join(f"{title} {value:.4g}" for title, value in rows)
    return f"{numbers} ({record['seconds']['train']:.0f} s)"
