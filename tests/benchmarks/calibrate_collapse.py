"""How often collapse_test is right: false alarms, power on planted collapses, and images that are merely bad.

python -m tests.benchmarks.calibrate_collapse run digits --draws 400
python -m tests.benchmarks.calibrate_collapse run mnist --draws 400          (GANEVAL_DATA holds torchvision's files)
python -m tests.benchmarks.calibrate_collapse run cifar10 --draws 400        (GANEVAL_DATA holds a zip of its test set)
python -m tests.benchmarks.calibrate_collapse looks mnist --runs 200
python -m tests.benchmarks.calibrate_collapse table

Images are changed before the features are extracted, once a kind. Draws are kept one by one in a JSON-lines file, so
a run that was stopped goes on where it was.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import click
import numpy as np
import torch
from scipy.stats import kstest
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from ganeval.collapse import CollapseReport, collapse_test
from ganeval.collapse.monitor import CollapseMonitor
from ganeval.features import extract
from ganeval.images import open_images
from ganeval.types import Features
from tests.benchmarks.draws import keep, read, undone

RECORDS = Path(__file__).parent / "calibrate_collapse.jsonl"
SOURCES = {"digits": "digits:all", "mnist": "mnist:test", "cifar10": "cifar10-jpeg-test.zip"}
EXTRACTORS = {"digits": "classifier:digits", "mnist": "classifier:mnist", "cifar10": "classifier:cifar10"}
N_FAKE, N_REAL = 250, 500
VERDICTS = ("collapsed", "suspected", "undetermined", "none")
LOOKS = {"real, 10 looks": 1.0, "real, 10 looks, half shared": 0.5}
"""The share of the images that are new at each look of a CollapseMonitor."""


def _noise(x: Tensor, level: float) -> Tensor:
    return x + level * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))


def _salt(x: Tensor) -> Tensor:
    """3% of the pixels black or white."""
    hit = torch.rand(x.shape, generator=torch.Generator().manual_seed(0))
    return torch.where(hit < 0.015, 1.0, torch.where(hit < 0.03, 0.0, x))


BAD: dict[str, Callable[[Tensor], Tensor]] = {
    "noise 0.05": lambda x: _noise(x, 0.05),
    "noise 0.15": lambda x: _noise(x, 0.15),
    "salt 3%": _salt,
    "brightness x 0.8": lambda x: 0.8 * x,
    "brightness x 1.2": lambda x: 1.2 * x,
    "contrast x 0.8": lambda x: x.mean((1, 2, 3), keepdim=True) * 0.2 + 0.8 * x,
    "contrast x 1.2": lambda x: x.mean((1, 2, 3), keepdim=True) * -0.2 + 1.2 * x,
    "contrast x 0.8 about grey": lambda x: 0.5 + 0.8 * (x - 0.5),
    "contrast x 1.2 about grey": lambda x: 0.5 + 1.2 * (x - 0.5),
    "shift 1 pixel": lambda x: torch.roll(x, 1, 3),
    "blur 0.6": lambda x: gaussian_blur(x, [5, 5], [0.6, 0.6]),
    "blur 1.0": lambda x: gaussian_blur(x, [5, 5], [1.0, 1.0]),
    "pure noise": lambda x: torch.rand(x.shape, generator=torch.Generator().manual_seed(0)),
}
PLANTED = ("nothing", "no 3", "3 at 0.1", "3 at 0.25", "3 at 0.5", "support 50", "support 200", "shrunk by half")
PARTLY = ("copies 0.05", "copies 0.1", "copies 0.25", "copies 0.5", "copies 1.0")
"""This part of the fakes is drawn from COPIED images, the rest are images of their own."""
COPIED = 20


@cache
def images(name: str) -> tuple[Tensor, Tensor | None, tuple[str, ...]]:
    """Every image of a data set, uint8 (N, 3, H, W), with labels and class names."""
    archive = Path(os.environ.get("GANEVAL_DATA", "")) / SOURCES[name]
    source = open_images(archive if archive.is_file() else SOURCES[name])
    return torch.stack([source[i].pixels for i in range(len(source))]), source.labels, source.class_names


@cache
def features(name: str, extractor: str, change: str | None = None) -> Features:
    """The features of every image of a data set, after a change."""
    pixels, labels, names = images(name)
    if change:
        pixels = (BAD[change](pixels / 255).clamp(0, 1) * 255).round().byte()
    return replace(extract(pixels, extractor, cache=False), labels=labels, class_names=names)


def plant(pool: Features, kind: str, random: np.random.Generator, n: int = N_FAKE) -> Features:
    """n fakes made of a shuffled pool of features, without replacement but for a small support."""
    assert pool.labels is not None
    rows = np.arange(len(pool))
    if kind.startswith("no ") or " at " in kind:
        lost = pool.labels.numpy() == int(kind.split()[1 if kind.startswith("no ") else 0])
        share = 0.0 if kind.startswith("no ") else float(kind.split()[-1])
        rows = rows[~lost | (random.random(len(rows)) < share)][:n]
    elif kind.startswith("support"):
        rows = random.choice(rows[: int(kind.split()[-1])], n)
    elif kind.startswith("copies"):
        many = round(float(kind.split()[-1]) * n)
        rows = np.concatenate([random.choice(rows[:COPIED], many), rows[COPIED : COPIED + n - many]])
    fakes = pool[torch.from_numpy(rows[:n])]
    if kind != "shrunk by half":
        return fakes
    assert fakes.labels is not None
    means = torch.stack([fakes.pooled[fakes.labels == label].mean(0) for label in range(10)])
    return replace(fakes, pooled=(fakes.pooled + means[fakes.labels]) / 2)


def draw(name: str, extractor: str, kind: str, seed: int, n: int = N_FAKE, m: int = N_REAL) -> CollapseReport:
    """One split of the data set into a reference and a pool that the fakes are made of, and its report."""
    random = np.random.default_rng(seed)
    clean = features(name, extractor)
    order = torch.from_numpy(random.permutation(len(clean)))
    pool = features(name, extractor, kind if kind in BAD else None)[order[m:]]
    fakes = plant(pool, "nothing" if kind in BAD else kind, random, n)
    return collapse_test(unlabelled(fakes), unlabelled(clean[order[:m]]), seed=seed)


def unlabelled(features: Features) -> Features:
    """Without the labels, features without logits are tested by k-means."""
    return replace(features, labels=None)


def watch(name: str, extractor: str, kind: str, seed: int, n: int = N_FAKE, m: int = N_REAL) -> CollapseMonitor:
    """A monitor that has taken 10 looks at a healthy generator: real images, of which LOOKS[kind] are new each time."""
    clean = features(name, extractor)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(clean)))
    monitor = CollapseMonitor(unlabelled(clean[order[:m]]), looks=10, seed=seed)
    for look in range(10):
        first = m + round(look * n * LOOKS[kind])
        monitor(unlabelled(clean[order[first : first + n]]), step=look)
    return monitor


@click.group()
def main() -> None:
    """Error rates of collapse_test."""


@main.command()
@click.argument("name", type=click.Choice(sorted(SOURCES)))
@click.option("--extractor", help="default: the data set's own")
@click.option("--kind", "kinds", multiple=True, help="default: all")
@click.option("--draws", default=400, help="of real against real; a quarter of it of each other kind")
@click.option("--n", default=N_FAKE)
@click.option("--m", default=N_REAL)
@click.option("--records", type=click.Path(path_type=Path), default=RECORDS)
def run(name: str, extractor: str | None, kinds: tuple[str, ...], draws: int, n: int, m: int, records: Path) -> None:
    """Adds draws to the records, up to so many of each kind."""
    extractor = extractor or EXTRACTORS[name]
    for kind in kinds or (*PLANTED, *PARTLY, *BAD):
        case = {"data": name, "extractor": extractor, "n": n, "m": m, "kind": kind}
        for seed in undone(records, case, draws if kind == "nothing" else draws // 4):
            report = draw(name, extractor, kind, seed, n, m)
            assert report.similarity is not None
            found = {"verdict": report.verdict, "kinds": report.kinds, "p": report.p_value}
            keep(records, {**case, "seed": seed, **found, "p_similarity": report.similarity.p_value})


@main.command()
@click.argument("name", type=click.Choice(sorted(SOURCES)))
@click.option("--kind", "kinds", multiple=True, type=click.Choice(sorted(LOOKS)), help="default: all")
@click.option("--runs", default=200)
@click.option("--records", type=click.Path(path_type=Path), default=RECORDS)
def looks(name: str, kinds: tuple[str, ...], runs: int, records: Path) -> None:
    """Adds runs of ten looks at a healthy generator; a run counts by the worst of its verdicts."""
    for kind in kinds or LOOKS:
        case = {"data": name, "extractor": EXTRACTORS[name], "n": N_FAKE, "m": N_REAL, "kind": kind}
        for seed in undone(records, case, runs):
            history = watch(name, EXTRACTORS[name], kind, seed).history
            worst = min(history, key=lambda look: VERDICTS.index(look.verdict)).verdict
            kinds = sorted({k for look in history for k in look.kinds})
            p = min(look.p_value for look in history if look.p_value is not None)
            keep(records, {**case, "seed": seed, "verdict": worst, "kinds": kinds, "p": p})


@main.command()
@click.option("--records", type=click.Path(path_type=Path), default=RECORDS)
def table(records: Path) -> None:
    """Prints the records as a Markdown table."""
    cases: dict[tuple, list[dict]] = {}
    for line in read(records):
        key = (line["data"], line["extractor"], line["n"], line["m"])
        cases.setdefault((*key, line["kind"]), []).append(line)
    head = ("features", "fake / real", "fakes are", "draws", "collapsed", "suspected", "undetermined", "none",
            "missing", "duplicated", "low diversity", "p uniform")  # fmt: skip
    click.echo(f"| {' | '.join(head)} |\n|---|---|---|{'---:|' * (len(head) - 3)}")
    for (_, extractor, n, m, kind), lines in cases.items():
        verdicts = Counter(line["verdict"] for line in lines)
        kinds = Counter(k for line in lines for k in {"missing" if k in ("dropped", "starved") else k
                                                      for k in line["kinds"]})  # fmt: skip
        shares = [verdicts[v] for v in VERDICTS]
        shares += [kinds[k] for k in ("missing", "duplicated", "low_diversity")]
        uniform, what = "", kind
        if kind == "nothing":
            what, uniform = "real", f"{kstest([line['p_similarity'] for line in lines], 'uniform').pvalue:.2f}"
        cells = [extractor, f"{n} / {m}", what, len(lines), *(f"{x / len(lines):.1%}" for x in shares),
                 uniform]  # fmt: skip
        click.echo(f"| {' | '.join(map(str, cells))} |")


if __name__ == "__main__":
    main()
