"""The commands that the suite adds to `ganeval`: train and bench. Heavy imports stay inside them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from ganeval.cli.options import DATA_ROOT, PATH, SEED
from ganeval.errors import GanevalError
from ganeval.terminal import INTERRUPTED, on_terminal, say
from ganeval_baselines.cluster import BACKENDS

DOWNLOAD = click.option("--download", is_flag=True, help="Fetch a named data set into --data-root first.")


IMAGE_SIZE = click.option("--image-size", type=click.IntRange(min=8), help="Crop and resize images to this side.")
THREADS = click.option(
    "--threads", type=click.IntRange(min=1), default=1, show_default=True,
    help="Of a run on the CPU. Another number rounds otherwise, and ends in other weights.",
)  # fmt: skip


@click.command()
@click.argument("model")
@click.option("--data", required=True, help="ring8, grid25, digits, mnist, ..., a folder or zip of images.")
@click.option("--seed", type=SEED, default=0, show_default=True)
@click.option("--out", type=PATH, help="Default: runs/DATA/MODEL-seedSEED")
@click.option("--budget", type=int, metavar="EXAMPLES", help="Examples that the discriminator sees.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Changes the model's recipe. Repeatable.")
@click.option("--extractor", default="auto", show_default=True, help="For the scores; see `ganeval list extractors`.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps.")
@DATA_ROOT
@DOWNLOAD
@IMAGE_SIZE
@THREADS
@click.option("--looks", type=click.IntRange(min=1), default=10, show_default=True, help="Scores on the way.")
@click.option("--tensorboard", is_flag=True, help="Also write the log for TensorBoard.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def train(
    model: str, data: str, seed: int, out: Path | None, budget: int | None, changes: tuple[str, ...], extractor: str,
    device: str, data_root: Path | None, download: bool, image_size: int | None, threads: int, looks: int,
    tensorboard: bool, quiet: bool,
) -> None:  # fmt: skip
    """Train the reference MODEL, and score what it makes.

    Run the same command again after an interruption: it goes on from the last checkpoint, to the same weights.

    \b
    ganeval train wgan_gp --data ring8
    ganeval train dcgan --data mnist --data-root ./data --set width=64
    """
    import torch

    from ganeval.devices import pick_device
    from ganeval_baselines import bench as suites
    from ganeval_baselines import board
    from ganeval_baselines import data as datasets
    from ganeval_baselines.judges import judge_of
    from ganeval_baselines.perform import perform
    from ganeval_baselines.plan import plan
    from ganeval_baselines.record import describe, write

    torch.set_num_threads(threads)
    given = dict(_setting(text) for text in changes)
    loaded = datasets.load(data, data_root=data_root, image_size=image_size, download=download)
    run = plan(model, loaded, seed, suites.budget_of(model, data) if budget is None else budget, given)
    folder = out or Path("runs") / suites.name_of(run)
    where = str(pick_device(device))
    judge = judge_of(run.model, loaded, extractor, where)
    also = board.tensorboard(folder) if tensorboard else lambda _: None
    progress = on_terminal() and not quiet
    with _resumable():
        record = perform(run, folder, judge, device=where, progress=progress, looks=looks, also=also)
    write(record, folder / "record.json")
    click.echo(f"{suites.name_of(run)}: {describe(record)}")
    made = ("record.json", "samples.npz", "samples.png", "checkpoint.pt", "log.jsonl")
    say(f"in {folder}: {', '.join(name for name in made if (folder / name).exists())}", err=True)


@contextmanager
def _resumable() -> Iterator[None]:
    """Ctrl-C ends the command with 130; what is saved stays."""
    try:
        yield
    except KeyboardInterrupt:
        say("interrupted; the same command goes on from the last checkpoint, if there is one yet", err=True)
        sys.exit(INTERRUPTED)


def _setting(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise GanevalError(f"can't read --set {text!r}; write it as --set key=value")
    return key.strip(), value.strip()


@click.command(short_help="Train a suite over seeds, and record each run.")
@click.argument("suite")
@click.option("--models", help="Only these, with commas: nsgan,wgan_gp. Default: the suite's.")
@click.option("--seeds", type=click.IntRange(min=1), help="Seeds 0 to N - 1. Default: the suite's.")
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Runs at a time.")
@THREADS
@click.option("--backend", type=click.Choice(BACKENDS), default="loky", show_default=True)
@click.option("--cluster", metavar="ADDRESS", help="Of a running Dask or Ray cluster; else one is started here.")
@click.option("--budget", type=int, metavar="EXAMPLES", help="Examples that each discriminator sees.")
@click.option("--extractor", default="auto", show_default=True, help="For the scores; see `ganeval list extractors`.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps.")
@click.option("--records", type=PATH, default=Path("leaderboards/records"), show_default=True)
@click.option("--runs", type=PATH, default=Path("runs"), show_default=True)
@DATA_ROOT
@DOWNLOAD
@IMAGE_SIZE
@click.option("--rescore", is_flag=True, help="Train nothing: score anew what an older version has scored.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def bench(
    suite: str, models: str | None, seeds: int | None, jobs: int, threads: int, backend: str, cluster: str | None,
    budget: int | None, extractor: str, device: str, records: Path, runs: Path, data_root: Path | None,
    download: bool, image_size: int | None, rescore: bool, quiet: bool,
) -> int:  # fmt: skip
    """Train a SUITE of reference models, several seeds each, and write a record of every run.

    SUITE is ring8, grid25, digits, mnist, classifiers, or any data set or folder of images. Runs that have a
    record are skipped, runs that were cut off go on. Then: ganeval leaderboard
    """
    from ganeval.devices import pick_device
    from ganeval_baselines import bench as suites

    with _resumable():
        outcomes = suites.bench(
            suites.suite_of(suite), suites.Places(records, runs),
            models=[name for name in (models or "").split(",") if name], seeds=seeds, budget=budget, jobs=jobs,
            backend=backend, cluster=cluster, device=str(pick_device(device)), extractor=extractor, data_root=data_root,
            download=download, image_size=image_size, threads=threads, rescored=rescore,
            told=lambda line: None if quiet else say(line, err=True),
        )  # fmt: skip
    failed = [name for name, outcome in outcomes.items() if outcome.startswith("failed")]
    there = sum(outcome == "was there" for outcome in outcomes.values())
    say(f"{len(outcomes)} runs: {there} were there, {len(failed)} failed; records in {records}", err=True)
    return 1 if failed else 0
