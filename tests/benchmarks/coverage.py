"""How often the 95% intervals of the metrics hold what they are for, on features drawn from known populations.

python -m tests.benchmarks.coverage run neighbours --draws 1000                 (all cases of docs/calibration.md)
python -m tests.benchmarks.coverage run kernels --draws 1000 --population equal --dim 8 --n 500 --n 1000
python -m tests.benchmarks.coverage run neighbours --population mnist           (GANEVAL_DATA holds torchvision's files)
python -m tests.benchmarks.coverage table neighbours

An interval is for the expected value of the metric at this many images, which is taken as the mean over the draws.
Draws are kept in a file a case, so a run that was stopped goes on where it was. `fid_debiased`, whose interval is for
the distance of the populations, has a script of its own, coverage_fid.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor

from ganeval import metrics
from ganeval.comparison import NEIGHBOURS
from ganeval.metrics.neighbours import neighbours
from ganeval.registry import METRICS
from ganeval.types import Estimate

RECORDS = Path("runs/coverage")
EVERY = 50
"""Draws between two savings."""
ALL_NEIGHBOURS = {name: m.options({}) for name, m in METRICS.items() if name in NEIGHBOURS}

GAUSSIAN = ("equal", "shifted", "scaled", "heavy")
OTHERS = ("slight", "logits")
REAL = ("mnist", "mnist noisy")


def _transport(x: Tensor, y: Tensor) -> dict[str, Estimate]:
    return {"sliced_wasserstein": metrics.sliced_wasserstein(x, y), "emd": metrics.emd(x, y)}


def _kernels(x: Tensor, y: Tensor) -> dict[str, Estimate]:
    return {
        "kid": metrics.kid(x, y, subsets=20, subset_size=100),
        "mmd:unbiased=true": metrics.mmd(x, y, unbiased=True),
    }


def _classes(x: Tensor, y: Tensor) -> dict[str, Estimate]:
    return {"inception_score": metrics.inception_score(x), "mode_score": metrics.mode_score(x, y),
            "mode_score:form=che": metrics.mode_score(x, y, form="che")}  # fmt: skip


FAMILIES: dict[str, Callable[[Tensor, Tensor], dict[str, Estimate]]] = {
    "neighbours": lambda x, y: neighbours(x, y, ALL_NEIGHBOURS),
    "kernels": _kernels,
    "classes": _classes,
    "transport": _transport,
    "vendi": lambda x, y: {"vendi": metrics.vendi(x)},
}


def draw(population: str, dim: int, n: int, seed: int) -> tuple[Tensor, Tensor]:
    """n fake and n real features of a population."""
    random = torch.Generator().manual_seed(seed)
    if population in REAL:
        pool = _mnist()
        x, y = pool[torch.randperm(len(pool), generator=random)[: 2 * n]].double().chunk(2)
        noise = 0.5 * pool.std(0) * torch.randn(x.shape, generator=random)
        return (x + noise if population == "mnist noisy" else x), y
    x, y = (torch.randn(n, dim, generator=random, dtype=torch.float64) for _ in range(2))
    if population in ("shifted", "slight"):
        x[:, 0] += 1 if population == "shifted" else 0.35
    elif population == "scaled":
        x *= 0.8
    elif population == "heavy":
        x, y = (rows * _student(n, 5, random) for rows in (x, y))
    elif population == "logits":
        # Confident predictions of `dim` classes, the fake ones unevenly spread over them.
        sure = torch.eye(dim, dtype=torch.float64) * (4 + math.log(dim))
        real = torch.randint(dim, (n,), generator=random)
        fake = (dim * torch.rand(n, generator=random).square()).long()
        return x + sure[fake], y + sure[real]
    return x, y


def _student(n: int, freedom: int, random: torch.Generator) -> Tensor:
    """What makes Gaussian rows a multivariate Student's t of variance 1."""
    chi = torch.randn(n, freedom, dtype=torch.float64, generator=random).square().sum(1, keepdim=True)
    return ((freedom - 2) / chi).sqrt()


@cache
def _mnist() -> Tensor:
    """Features of the 60,000 training images from classifier:mnist."""
    import ganeval

    return ganeval.extract("mnist:train", "classifier:mnist").pooled


def row(family: str, population: str, dim: int, n: int, draws: int, folder: Path) -> dict[str, np.ndarray]:
    """{metric: value, standard error, low and high end of each draw (draws, 4)}; NaN where there is none."""
    path = folder / f"{family}-{population}-{dim}-{n}.npz"
    found = {key: list(values) for key, values in np.load(path).items()} if path.exists() else {}
    start = len(next(iter(found.values()), []))
    for seed in range(start, draws):
        for name, e in FAMILIES[family](*draw(population, dim, n, seed)).items():
            low, high = e.interval or (math.nan, math.nan)
            error = math.nan if e.std_error is None else e.std_error
            found.setdefault(name, []).append(np.array([e.value, error, low, high]))
        if seed % EVERY == EVERY - 1 or seed == draws - 1:
            folder.mkdir(parents=True, exist_ok=True)
            np.savez(path.with_suffix(".tmp.npz"), **found)
            os.replace(path.with_suffix(".tmp.npz"), path)
    return {name: np.array(values) for name, values in found.items()}


def cells(values: np.ndarray) -> list[str]:
    """Of draws (draws, 4): their number, mean, scatter, standard error, intervals given, how many hold the mean."""
    value, error, low, high = values.T
    mean, given = value.mean(), ~np.isnan(low)
    hold = ((low <= mean) & (mean <= high))[given]
    share = hold.mean() if len(hold) else math.nan
    slack = 100 * math.sqrt(share * (1 - share) / len(hold)) if len(hold) else math.nan
    rms = math.sqrt(np.mean(error[given] ** 2)) if given.any() else math.nan
    covers = f"{100 * share:.1f}% ± {slack:.1f}" if given.mean() >= 0.5 else "-"
    return [str(len(value)), f"{mean:.4g}", f"{value.std(ddof=1):.3g}", f"{rms:.3g}", f"{given.mean():.0%}", covers]


@click.group()
def main() -> None:
    """Coverage of the intervals of all metrics but fid_debiased."""
    torch.set_num_threads(1)


@main.command()
@click.argument("family", type=click.Choice(list(FAMILIES)))
@click.option("--population", multiple=True, default=GAUSSIAN, type=click.Choice([*GAUSSIAN, *OTHERS, *REAL]))
@click.option("--dim", multiple=True, type=int, default=(2, 8, 32, 64), help="features; not for mnist")
@click.option("--n", multiple=True, type=int, default=(200, 500, 1000))
@click.option("--draws", default=1000)
@click.option("--records", type=click.Path(path_type=Path), default=RECORDS)
def run(
    family: str, population: tuple[str, ...], dim: tuple[int, ...], n: tuple[int, ...], draws: int, records: Path
) -> None:
    """Adds draws to the records, up to so many a case."""
    for size in n:
        for kind in population:
            for d in (_mnist().shape[1],) if kind in REAL else dim:
                row(family, kind, d, size, draws, records)


@main.command()
@click.argument("family", type=click.Choice(list(FAMILIES)))
@click.option("--records", type=click.Path(path_type=Path), default=RECORDS)
def table(family: str, records: Path) -> None:
    """Prints the records of a family as a Markdown table."""
    head = ("metric", "population", "D", "N", "draws", "mean", "sd", "rms s.e.", "given", "covers")
    click.echo(f"| {' | '.join(head)} |\n|---|---|{'---:|' * (len(head) - 2)}")
    for line in sorted(_lines(family, records)):
        click.echo(f"| {' | '.join(map(str, line))} |")


def _lines(family: str, records: Path) -> Iterator[list[object]]:
    for path in records.glob(f"{family}-*.npz"):
        _, population, dim, n = path.stem.split("-")
        for name, values in np.load(path).items():
            yield [name, population, int(dim), int(n), *cells(values)]


if __name__ == "__main__":
    main()
