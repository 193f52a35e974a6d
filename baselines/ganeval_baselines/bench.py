"""A suite of runs, (model x seed) on one data set, through joblib: finished ones are skipped, begun ones taken up."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import torch

from ganeval.errors import GanevalError, unknown
from ganeval.files import write_result
from ganeval.leaderboard import records
from ganeval.registry import BASELINES, get_baseline, load_plugins
from ganeval_baselines import data as datasets
from ganeval_baselines.cluster import workers
from ganeval_baselines.data import Images, Mixture
from ganeval_baselines.judges import BySamples, Judge, judge_of
from ganeval_baselines.perform import failure, perform, perform_sanity, rescore
from ganeval_baselines.plan import Run, obstacle, plan
from ganeval_baselines.record import config_sha256, describe, write
from ganeval_baselines.sanity import TITLES, sanity_config

EXAMPLES = 640_000
"""The budget of a run on data that no suite names."""

CARD = ("gan", "nsgan", "lsgan", "wgan", "wgan_gp", "dcgan", "cgan", "infogan")


@dataclass(frozen=True)
class Suite:
    """What `ganeval bench NAME` runs: models of one kind, None for all that the data allow, and the budget of each."""

    data: str
    examples: int
    models: tuple[str, ...] | None = None
    seeds: int = 5
    kind: str = "gan"


SUITES = {
    "ring8": Suite("ring8", 25_000 * 128),
    "grid25": Suite("grid25", 25_000 * 128),
    "digits": Suite("digits", 8_000 * 64),
    "mnist": Suite("mnist", 300_000, CARD, seeds=3),
    "classifiers": Suite("mnist", 960_000, ("lenet", "cnn", "capsnet_small"), seeds=3, kind="classifier"),
}


@dataclass(frozen=True)
class Sanity:
    """A row of sanity.py as a job beside the training runs."""

    model: str
    data: Mixture | Images
    seed: int
    n: int

    def config(self) -> dict[str, Any]:
        return sanity_config(self.model, self.data, self.n, self.seed)


Job = Run | Sanity


@dataclass(frozen=True)
class Places:
    """Where records go, and where runs keep their checkpoints and samples."""

    records: Path
    runs: Path


def suite_of(name: str) -> Suite:
    """A named suite, or the default one on any data set or folder of images."""
    key = name.lower().replace("-", "_")
    if key in SUITES:
        return SUITES[key]
    if key in datasets.NAMES or Path(name).expanduser().exists():
        return Suite(name, EXAMPLES)
    raise unknown("suite or data set", name, {*SUITES, *datasets.NAMES})


def budget_of(model: str, data: str) -> int:
    """The examples of one run of the model: those of the suite of its kind on these data, where there is one."""
    kind, key = get_baseline(model).kind, data.lower().replace("-", "_")
    return next((s.examples for s in SUITES.values() if (s.kind, s.data) == (kind, key)), suite_of(data).examples)


def applicable(data: Mixture | Images) -> list[str]:
    """The registered GANs that can train on this data, in the registry's order."""
    load_plugins()
    return [name for name, row in BASELINES.items() if row.kind == "gan" and not obstacle(row, data)]


def bench(
    suite: Suite,
    places: Places,
    *,
    models: Sequence[str] = (),
    seeds: int | None = None,
    budget: int | None = None,
    jobs: int = 1,
    backend: str = "loky",
    cluster: str | None = None,
    device: str = "cpu",
    extractor: str = "auto",
    data_root: Path | None = None,
    download: bool = False,
    image_size: int | None = None,
    threads: int = 1,
    rescored: bool = False,
    told: Callable[[str], object] = lambda _: None,
) -> dict[str, str]:
    """Runs what of the suite has no record yet; returns {job: what came of it} for every job.

    rescored: nothing is trained; finished runs that an older version has scored are scored anew, from their checkpoints
    in places.runs.
    told is called with a line as each job ends.
    Raises GanevalError, before anything is run, for an unknown model, one that the data do not allow, or a record
    of another configuration in the way.
    """
    if cluster and backend == "loky":
        raise GanevalError(f"--cluster {cluster}: say of which kind, --backend dask or ray")
    data = datasets.load(suite.data, data_root=data_root, image_size=image_size, download=download)
    numbers = range(suite.seeds if seeds is None else seeds)
    chosen = list(dict.fromkeys(get_baseline(name).name for name in models)) or suite.models or applicable(data)
    wanted: list[Job] = [
        plan(model, data, seed, suite.examples if budget is None else budget) for seed in numbers for model in chosen
    ]
    kinds: dict[str, str] = {get_baseline(name).kind: name for name in chosen}
    judges = {kind: judge_of(name, data, extractor, device) for kind, name in kinds.items()}
    if isinstance(samples := judges.get("gan"), BySamples):
        n = samples.reference.sample_size
        wanted = [*(Sanity(name, data, seed, n) for seed in numbers for name in TITLES), *wanted]
    there = {name_of(job) for job in wanted if _finished(job, places.records)}
    if rescored:
        wanted = [job for job in wanted if name_of(job) in there]
        there = {name_of(job) for job in wanted if not _outdated(job, places.records, judges[_kind(job)])}
    came = dict.fromkeys(sorted(there), "was there")
    todo = [job for job in wanted if name_of(job) not in there]
    once = _rescored if rescored else _record
    with workers(backend, jobs, cluster) as returned:
        results = joblib.Parallel(return_as=returned)(
            joblib.delayed(_one)(once, job, judges[_kind(job)], places, device, threads) for job in todo
        )
        try:
            for done, (name, outcome) in enumerate(results, 1):
                came[name] = outcome
                told(f"{done}/{len(todo)} {name}: {outcome}")
        except BrokenExecutor:
            left = ", ".join(name for job in todo if (name := name_of(job)) not in came)
            raise GanevalError(
                f"a worker was killed, perhaps for want of memory; without a record are {left}: "
                "run the same command again, with fewer --jobs"
            ) from None
    return came


def _kind(job: Job) -> str:
    return "gan" if isinstance(job, Sanity) else get_baseline(job.model).kind


def name_of(job: Job) -> str:
    return f"{job.data.name}/{job.model}-seed{job.seed}"


def _finished(job: Job, root: Path) -> bool:
    path = root / f"{name_of(job)}.json"
    if not path.exists():
        return False
    found = records.read(path)
    if found["status"] == "failed":
        return False
    there, here = found["config"], job.config()
    if found["config_sha256"] != config_sha256(here):
        key = next((k for k in {**there, **here} if there.get(k) != here.get(k)), "the configuration")
        raise GanevalError(
            f"{path} records another run: {key} is {there.get(key)!r} there and {here.get(key)!r} here; "
            "move it away, or choose another --records folder"
        )
    return True


def _outdated(job: Job, root: Path, judge: Judge) -> bool:
    """Whether a finished run was scored in another way than it is today."""
    found = records.read(root / f"{name_of(job)}.json")
    return found["status"] == "ok" and found["evaluation"]["version"] != judge.evaluation()["version"]


def _one(
    make: Callable[[Job, Places, Judge, str], dict[str, Any]], job: Job, judge: Judge, places: Places, device: str,
    threads: int,
) -> tuple[str, str]:  # fmt: skip
    """One job and its record; whatever goes wrong in it is said of it, and stops no other."""
    load_plugins()
    torch.set_num_threads(threads)
    name = name_of(job)
    folder, path = places.runs / name, places.records / f"{name}.json"
    try:
        record = make(job, places, judge, device)
        write(record, path)
        if record["status"] == "ok" and job.seed == 0 and (folder / "samples.png").exists():
            write_result(path.parent / f"{job.model}.png", (folder / "samples.png").read_bytes())
    except Exception as error:
        # A row that needs no training, or a record that can't be written: it is missing, and the next bench makes it.
        return name, f"failed: {error}"
    return name, describe(record)


def _rescored(job: Job, places: Places, judge: Judge, device: str) -> dict[str, Any]:
    """The record of a job with its scores renewed."""
    if isinstance(job, Sanity):
        return _record(job, places, judge, device)
    found = records.read(places.records / f"{name_of(job)}.json")
    return rescore(dict(found.content), job, places.runs / name_of(job), judge, device)


def _record(job: Job, places: Places, judge: Judge, device: str) -> dict[str, Any]:
    folder = places.runs / name_of(job)
    if isinstance(job, Sanity):
        assert isinstance(judge, BySamples)
        return perform_sanity(job.model, job.seed, folder, judge)
    try:
        return perform(job, folder, judge, device=device)
    except GanevalError:
        # The user's to mend: a checkpoint of another run, no room on the disk.
        raise
    except Exception as error:
        # Of whatever kind: a board with a gap that says why is worth more than no board.
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "error.txt").write_text(traceback.format_exc())
        return failure(job, judge, device, f"{type(error).__name__}: {error}")
