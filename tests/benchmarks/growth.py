"""How the cost of each metric grows with n, on synthetic features of Inception's width.

python -m tests.benchmarks.growth --n 1000 --n 10000 --repeats 3 -o tests/benchmarks/records/growth.json

A metric whose next size would cost more than --limit CPU seconds, by its growth so far, is left out there.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import resource
import statistics
import time
import warnings
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from ganeval import metrics
from ganeval.comparison import NEIGHBOURS
from ganeval.errors import GanevalError
from ganeval.evaluate import Plan, plan, run
from ganeval.evaluate import families as batches
from ganeval.files import write_result
from ganeval.metrics.frechet import distance
from ganeval.metrics.neighbours import neighbours
from ganeval.numerics.moments import moments
from ganeval.registry import METRICS
from ganeval.types import Features, Moments
from tests.benchmarks.end_to_end import machine, versions

CLASSES = 1008
KINDS = ("families", "alone", "peers")
MOMENTS, KID, PRDC = "moments of both sets", "kid", "precision, recall, density, coverage"
PEER, PEER_KID, PEER_PRDC = "torch-fidelity: fid, kid, prc", "torch-fidelity: kid", "prdc: the four"


def features(n: int, dim: int, mean: float, seed: int) -> Features:
    """Gaussian rows whose columns' variances fall off as those of a network do, and logits."""
    random = np.random.default_rng(seed)
    spread = (np.arange(dim, dtype=np.float32) + 10) ** -0.3
    rows = random.standard_normal((n, dim), dtype=np.float32) * spread + mean
    logits = random.standard_normal((n, CLASSES), dtype=np.float32)
    return Features(torch.from_numpy(rows), torch.from_numpy(logits), "synthetic")


def families(fake: Features, real: Features) -> dict[str, Callable[[], object]]:
    """The default metrics of Inception features as `score` computes them, those of one family together."""
    wanted = plan(None, fake, real, "inception", 0).wanted

    def compute(names: list[str]) -> None:
        part = Plan({name: wanted[name] for name in names}, {}, True)
        run(part, fake, real, device=torch.device("cpu"), cache_key=None)

    return {", ".join(names): partial(compute, names) for names in batches(wanted)}


def alone(fake: torch.Tensor, real: torch.Tensor) -> dict[str, Callable[[], object]]:
    """Some of them, and others, each by itself."""
    options = {name: METRICS[name].options({}) for name in NEIGHBOURS}
    four = {name: {"k": 5, "strict": True} for name in ("precision", "recall", "density", "coverage")}
    sides: list[Moments] = []
    return {
        MOMENTS: lambda: sides.extend(moments(rows) for rows in (fake, real)),
        "Fréchet distance of these moments": lambda: distance(*(sides[-2:] or map(moments, (fake, real)))),
        "Fréchet distance of features": lambda: distance(fake, real),
        KID: lambda: metrics.kid(fake, real),
        "mmd": lambda: metrics.mmd(fake, real),
        "cmmd": lambda: metrics.cmmd(fake, real),
        PRDC: lambda: neighbours(fake, real, four),
        "the same and 1-NN accuracy": lambda: neighbours(fake, real, options),
    }


def peers(fake: torch.Tensor, real: torch.Tensor) -> dict[str, Callable[[], object]]:
    """With their own defaults."""
    from prdc import compute_prdc
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torch_fidelity.metric_kid import kid_features_to_metric
    from torch_fidelity.metric_prc import prc_features_to_metric

    def kid() -> None:
        kid_features_to_metric(fake, real, kid_subset_size=min(1000, len(fake)), verbose=False)

    def fid_kid_prc() -> None:
        fid_statistics_to_metric(*map(fid_features_to_statistics, (fake, real)), verbose=False)
        kid()
        prc_features_to_metric(fake, real, verbose=False)

    def prdc() -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            compute_prdc(real.numpy(), fake.numpy(), nearest_k=5)

    return {PEER: fid_kid_prc, PEER_KID: kid, PEER_PRDC: prdc}


def exponent(seconds: dict[int, float]) -> float | None:
    """The slope of log seconds over log n, through the sizes that took a second and more, else the last two."""
    sizes = [n for n in sorted(seconds) if seconds[n] >= 1]
    sizes = sizes if len(sizes) > 1 else sorted(seconds)[-2:]
    if len(sizes) < 2 or not all(seconds[n] > 0 for n in sizes):
        return None
    return float(np.polyfit(np.log(sizes), np.log([seconds[n] for n in sizes]), 1)[0])


@click.command()
@click.option("--n", "sizes", multiple=True, type=int, default=(1000, 5000, 10000, 50000), show_default=True)
@click.option("--dim", default=2048, show_default=True)
@click.option("--limit", default=600.0, show_default=True, help="CPU seconds.")
@click.option("--kind", "kinds", multiple=True, type=click.Choice(KINDS), default=KINDS, show_default=True)
@click.option("--repeats", default=1, show_default=True, help="Of each; the record keeps the medians.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
def main(sizes: tuple[int, ...], dim: int, limit: float, kinds: tuple[str, ...], repeats: int, output: Path) -> None:
    warnings.simplefilter("ignore")
    seconds: dict[str, dict[str, dict[int, float]]] = {kind: {} for kind in KINDS}
    record: dict[str, Any] = {
        "dim": dim, "sizes": sizes, "limit": limit, "kinds": kinds, "repeats": repeats,
        "machine": machine(torch.get_num_threads()), "versions": {**versions(), "prdc": version("prdc")},
        "load": [], "peak_mb": {}, "seconds": seconds,
    }  # fmt: skip
    for n in sorted(sizes):
        # A density of about 1, as good generators have: the more pairs of images lie in a ball, the longer it takes.
        fake, real = features(n, dim, 0.31, 0), features(n, dim, 0.3, 1)
        made = {"families": families(fake, real), "alone": alone(fake.pooled, real.pooled)}
        made["peers"] = peers(fake.pooled, real.pooled)
        found: dict[tuple[str, str], list[float]] = {}
        # In turn, so that a machine that slows down for a while slows all of them.
        for repeat in range(repeats):
            for kind in kinds:
                for name, function in made[kind].items():
                    spent = seconds[kind].setdefault(name, {})
                    if forecast({smaller: spent[smaller] for smaller in spent if smaller < n}, n) > limit:
                        continue
                    began = time.process_time()
                    try:
                        function()
                    except GanevalError as error:
                        click.echo(f"{name}: {error}", err=True)
                        continue
                    times = found.setdefault((kind, name), [])
                    times.append(time.process_time() - began)
                    spent[n] = round(statistics.median(times), 3)
                    record["load"].append(round(os.getloadavg()[0], 1))
                    click.echo(f"n = {n}: {name}: {times[-1]:.3f} CPU s", err=True)
                    write_result(output, json.dumps(record, indent=1).encode() + b"\n")
                if kind != "peers" and repeat == 0:
                    record["peak_mb"][n] = math.ceil(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    write_result(output, json.dumps(record, indent=1).encode() + b"\n")


def forecast(spent: dict[int, float], n: int) -> float:
    """CPU seconds at n by the growth so far."""
    last = max(spent, default=0)
    return spent[last] * (n / last) ** max(exponent(spent) or 2.0, 1.0) if last else 0.0


if __name__ == "__main__":
    main()
