"""How often the 95% interval of fid_debiased covers the true distance, on features drawn from known populations.

python -m tests.benchmarks.coverage_fid run --dim 32 --n 500 --tails t8 --draws 1000
python -m tests.benchmarks.coverage_fid run --dim 256 --n 1250 --m 0 --draws 300        (a statistics file)
python -m tests.benchmarks.coverage_fid table

Draws are kept one by one in a JSON-lines file, so a run that was stopped goes on where it was.
"""

from __future__ import annotations

import math
import time
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor

from ganeval.metrics import fid, fid_debiased
from ganeval.types import Moments
from tests.benchmarks.draws import keep, read, undone

RECORDS = Path(__file__).parent / "coverage_fid.jsonl"
ANGLE = 0.3


class Population:
    """Two populations of D features: pairs of coordinates are turned by ANGLE in the fake one, scaled and shifted.

    Small D: variances between 1 and 2. Large D: variances that fall like those of Inception features,
    (i + 10)^-1.2, scaled to a total of 80. effect 0 makes the two populations equal.
    """

    def __init__(self, dim: int, effect: float) -> None:
        i = torch.arange(dim, dtype=torch.float64)
        self.real = 1 + i / dim if dim <= 64 else (i + 10) ** -1.2
        self.real *= 1 if dim <= 64 else 80 / self.real.sum()
        self.fake = self.real * (1 + 0.3 * effect * torch.cos(i))
        self.angle = ANGLE * effect
        self.shift = 0.5 * effect * (self.real / dim).sqrt()

    def distance(self) -> float:
        """The Fréchet distance, from the closed form for each pair: tr M^(1/2) = sqrt(tr M + 2 sqrt(det M))."""
        c, s = math.cos(self.angle), math.sin(self.angle)
        turn = torch.tensor([[c, -s], [s, c]], dtype=torch.float64)
        fake = turn @ torch.diag_embed(self.fake.view(-1, 2)) @ turn.T
        product = fake @ torch.diag_embed(self.real.view(-1, 2))
        root = (product.diagonal(dim1=1, dim2=2).sum(1) + 2 * torch.det(product).sqrt()).sqrt()
        return float(self.shift.square().sum() + self.fake.sum() + self.real.sum() - 2 * root.sum())

    def draw(self, n: int, m: int, tails: str, random: torch.Generator) -> tuple[Tensor, Tensor | Moments]:
        """Fake and real features (n, D), (m, D): Gaussian, or Student's t with the given degrees of freedom ("t8").

        m: 0 gives the real population's own moments, as a statistics file does of very many images.
        """
        z = self._noise(n, tails, random) * self.fake.sqrt()
        a, b = z.view(n, -1, 2).unbind(2)
        c, s = math.cos(self.angle), math.sin(self.angle)
        fake = torch.stack([c * a - s * b, s * a + c * b], 2).view(n, -1) + self.shift
        if not m:
            return fake, Moments(torch.zeros_like(self.real), torch.diag(self.real))
        return fake, self._noise(m, tails, random) * self.real.sqrt()

    def _noise(self, n: int, tails: str, random: torch.Generator) -> Tensor:
        z = torch.randn(n, len(self.real), dtype=torch.float64, generator=random)
        if tails == "gauss":
            return z
        freedom = int(tails.removeprefix("t"))
        chi = torch.randn(n, freedom, dtype=torch.float64, generator=random).square().sum(1, keepdim=True)
        return z * ((freedom - 2) / chi).sqrt()


def one(population: Population, n: int, m: int, tails: str, seed: int) -> dict:
    """One draw: the two estimates and what they cost."""
    fake, real = population.draw(n, m, tails, torch.Generator().manual_seed(seed))
    began = time.perf_counter()
    plain = fid(fake, real)
    between = time.perf_counter()
    estimate = fid_debiased(fake, real, seed=seed)
    return {
        "plain": plain.value,
        "plain_se": plain.std_error,
        "value": estimate.value,
        "se": estimate.std_error,
        "interval": estimate.interval,
        "seconds": [round(between - began, 2), round(time.perf_counter() - between, 2)],
    }


@click.group()
def main() -> None:
    """Coverage of the interval of fid_debiased."""


@main.command()
@click.option("--dim", type=int, required=True)
@click.option("--n", type=int, required=True)
@click.option("--m", type=int, help="real images, as many as fakes by default; 0: their moments are known exactly")
@click.option("--tails", default="gauss", help="gauss, or t8 for Student's t with 8 degrees of freedom")
@click.option("--effect", default=1.0, help="0: equal populations")
@click.option("--draws", default=1000)
@click.option("--records", type=click.Path(path_type=Path), default=RECORDS)
def run(dim: int, n: int, m: int | None, tails: str, effect: float, draws: int, records: Path) -> None:
    """Adds draws to the records, up to so many for these populations."""
    population, m = Population(dim, effect), n if m is None else m
    case = {"dim": dim, "n": n, "m": m, "tails": tails, "effect": effect}
    for seed in undone(records, case, draws):
        keep(records, {**case, "seed": seed, "true": population.distance(), **one(population, n, m, tails, seed)})


@main.command()
@click.option("--records", type=click.Path(path_type=Path), default=RECORDS)
def table(records: Path) -> None:
    """Prints the records as a Markdown table."""
    cases: dict[tuple, list[dict]] = {}
    for line in read(records):
        cases.setdefault((line["dim"], line["n"], line["m"], line["tails"], line["effect"]), []).append(line)
    head = (
        "D",
        "N",
        "M",
        "tails",
        "draws",
        "true",
        "plain",
        "debiased",
        "sd",
        "rms s.e.",
        "plain covers",
        "given",
        "covers",
    )
    click.echo(f"| {' | '.join(head)} |\n|{'---:|' * len(head)}")
    for (dim, n, m, tails, _), lines in sorted(cases.items()):
        true = lines[0]["true"]
        value = np.array([line["value"] for line in lines])
        plain = np.array([line["plain"] for line in lines])
        plain_error = np.array([line["plain_se"] or np.nan for line in lines])
        given = [line for line in lines if line["interval"]]
        error = math.sqrt(np.mean([line["se"] ** 2 for line in given])) if given else math.nan
        covered = sum(line["interval"][0] <= true <= line["interval"][1] for line in given)
        cells = [dim, n, m or "exact", tails, len(lines), f"{true:.3f}", f"{plain.mean():.3f}", f"{value.mean():.3f}",
                 f"{value.std(ddof=1):.3f}", f"{error:.3f}" if len(given) > len(lines) / 2 else "-",
                 f"{(abs(plain - true) < 1.96 * plain_error).mean():.0%}", f"{len(given) / len(lines):.0%}",
                 f"{covered / len(given):.1%}" if len(given) > len(lines) / 2 else "-"]  # fmt: skip
        click.echo(f"| {' | '.join(map(str, cells))} |")


if __name__ == "__main__":
    main()
