"""How often `ganeval.compare` is right: differences found where there is none, and where one was planted.

python -m tests.benchmarks.calibrate_compare run digits --draws 400
python -m tests.benchmarks.calibrate_compare run mnist --draws 400          (GANEVAL_DATA holds torchvision's files)
python -m tests.benchmarks.calibrate_compare run gauss64 --kind nothing
python -m tests.benchmarks.calibrate_compare table

Draws are kept one by one in a JSON-lines file, so a run that was stopped goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import click
import numpy as np
import torch
from scipy.stats import kstest
from torch import Tensor

from ganeval import ComparisonReport, Features, compare, extract
from ganeval.images import open_images
from tests.benchmarks.draws import keep, read, undone

RECORDS = Path(__file__).parent / "calibrate_compare.jsonl"
EXTRACTORS = {"digits": ("digits:all", "classifier:digits"), "mnist": ("mnist:test", "classifier:mnist")}
LOST = 3


def _noise(x: Tensor, level: float) -> Tensor:
    return x + level * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))


CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "noise 0.05": lambda x: _noise(x, 0.05),
    "noise 0.1": lambda x: _noise(x, 0.1),
    "noise 0.3": lambda x: _noise(x, 0.3),
    "shift 1 pixel": lambda x: torch.roll(x, 1, 3),
}
NULLS = {"nothing": None, "both noise 0.3": "noise 0.3", "both shifted": None, "mirrored": None}
"""A and B are made alike, of real images or of bad ones; the last two of Gaussians alone, whose means are shifted by
one and the same vector, or by two opposite ones: then they are no more alike, but equally good."""
POWER = ("A lacks 5% of a class", "A lacks half of a class", "A lacks a class", "A noise 0.05", "A noise 0.1",
         "A shift 1 pixel")  # fmt: skip


@cache
def features(name: str, change: str | None = None) -> Features:
    """The features of every image of a data set, after a change."""
    source = open_images(EXTRACTORS[name][0])
    pixels = torch.stack([source[i].pixels for i in range(len(source))])
    if change:
        pixels = (CHANGES[change](pixels / 255).clamp(0, 1) * 255).round().byte()
    found = extract(pixels, EXTRACTORS[name][1], cache=False)
    return Features(found.pooled, found.logits, found.fingerprint, source.labels)


def gaussian(dim: int, rows: int, random: np.random.Generator, shift: float = 0.0) -> Features:
    """Rows with variances that fall like those of a network's features, and ten logits of them, which are not shifted;
    a shift and its opposite are two distributions of the same quality."""
    x = random.standard_normal((rows, dim)) / np.sqrt(1 + np.arange(dim))
    x[:, 10:14] += shift
    pooled = torch.from_numpy(x).float()
    return Features(pooled, 3 * pooled[:, :10], f"gauss{dim}")


def draw(name: str, kind: str, seed: int, n: int, m: int) -> ComparisonReport:
    """One split of the data set into A, B and the reference; what was planted is in A, or in both."""
    random = np.random.default_rng(seed)
    if name.startswith("gauss"):
        dim = int(name.removeprefix("gauss"))
        shifts = {"both shifted": (0.3, 0.3), "mirrored": (0.3, -0.3)}.get(kind, (0.0, 0.0))
        return compare(*(gaussian(dim, n, random, shift) for shift in shifts), gaussian(dim, m, random))
    clean = features(name)
    assert clean.labels is not None
    order = random.permutation(len(clean))
    real, b, pool = order[:m], order[m : m + n], order[m + n :]
    both = NULLS.get(kind)
    rows = pool
    if "lacks" in kind:
        share = {"A lacks a class": 0.0, "A lacks half of a class": 0.5}.get(kind, 0.95)
        lost = (clean.labels == LOST).numpy()[pool]
        rows = pool[~lost | (random.random(len(pool)) < share)]
    change = both or (kind.removeprefix("A ") if kind.removeprefix("A ") in CHANGES else None)
    if len(rows) < n:
        raise click.UsageError(f"{name} has {len(rows)} images left for A; give a smaller --n or --m")
    a = features(name, change)[torch.from_numpy(rows[:n])]
    return compare(a, features(name, both)[torch.from_numpy(b)], clean[torch.from_numpy(real)])


@click.group()
def main() -> None:
    """Error rates of compare."""


@main.command()
@click.argument("name")
@click.option("--kind", "kinds", multiple=True, help="default: all")
@click.option("--draws", default=400, help="of two equal sets; a quarter of it of each other kind")
@click.option("--n", default=250)
@click.option("--m", default=500)
@click.option("--records", type=click.Path(path_type=Path), default=RECORDS)
def run(name: str, kinds: tuple[str, ...], draws: int, n: int, m: int, records: Path) -> None:
    """Adds draws of digits, mnist or gauss<dimensions> to the records, up to so many of each kind."""
    of_its_own = ("nothing", *list(NULLS)[2:]) if name.startswith("gauss") else (*list(NULLS)[:2], *POWER)
    for kind in kinds or of_its_own:
        case = {"data": name, "n": n, "m": m, "kind": kind}
        for seed in undone(records, case, draws if kind in NULLS else draws // 4):
            report = draw(name, kind, seed, n, m)
            found = {name: [round(line.difference.p_value, 5), round(line.p_holm, 5), line.better]
                     for name, line in report.metrics.items()}  # fmt: skip
            keep(records, {**case, "seed": seed, "metrics": found})


@main.command()
@click.option("--records", type=click.Path(path_type=Path), default=RECORDS)
def table(records: Path) -> None:
    """Prints the records as Markdown tables: of all metrics together, of each where nothing differs, and the power."""
    cases: dict[tuple, list[dict]] = {}
    for line in read(records):
        cases.setdefault((line["data"], line["n"], line["m"], line["kind"]), []).append(line["metrics"])
    nulls = {case: lines for case, lines in cases.items() if case[3] in NULLS}
    power = {case: lines for case, lines in cases.items() if case[3] not in NULLS}
    click.echo("| data | n / reference | A and B are | draws | any found |\n|---|---|---|---:|---:|")
    for (data, n, m, kind), lines in nulls.items():
        wrong = np.mean([any(better for _, _, better in line.values()) for line in lines])
        what = {"nothing": "real"}.get(kind, kind.removeprefix("both "))
        click.echo(f"| {data} | {n} / {m} | {what} | {len(lines)} | {wrong:.1%} |")
    click.echo("")
    _by_metric(nulls, lambda found: f"{np.mean(found[:, 0] <= 0.05):.1%} ({kstest(found[:, 0], 'uniform').pvalue:.2f})")
    for which in dict.fromkeys(case[:3] for case in power):
        click.echo("")
        _by_metric(
            {case: lines for case, lines in power.items() if case[:3] == which},
            lambda found: f"{np.mean(found[:, 1] <= 0.05):.0%}",
        )


def _by_metric(cases: dict[tuple, list[dict]], cell: Callable[[np.ndarray], str]) -> None:
    """A row a metric, a column a case."""
    head = [f"{data} {n}: {kind}" for data, n, _, kind in cases]
    click.echo(f"| metric | {' | '.join(head)} |\n|---|{'---:|' * len(head)}")
    for metric in dict.fromkeys(m for lines in cases.values() for line in lines for m in line):
        cells = []
        for lines in cases.values():
            found = np.array([line[metric][:2] for line in lines if metric in line])
            cells.append(cell(found) if len(found) else "-")
        click.echo(f"| {metric} | {' | '.join(cells)} |")
    if any(case[3] in NULLS for case in cases):
        return
    rates = [
        np.mean([any(better == "B" for _, _, better in line.values()) for line in lines]) for lines in cases.values()
    ]
    click.echo(f"| B is better on any | {' | '.join(f'{rate:.0%}' for rate in rates)} |")


if __name__ == "__main__":
    main()
