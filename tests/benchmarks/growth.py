"""How the cost of each metric grows with n, on synthetic features of Inception's width.

python -m tests.benchmarks.growth --n 1000 --n 5000 --n 10000 --n 50000 -o tests/benchmarks/records/growth.json

A metric whose next size would cost more than --limit CPU seconds, by its growth so far, is left out there.
"""

from __future__ import annotations

import json
import math
import os
import resource
import time
import warnings
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from ganeval.errors import GanevalError
from ganeval.evaluate import _batches, _compute
from ganeval.files import write_result
from ganeval.registry import METRICS
from ganeval.types import Features
from tests.benchmarks.end_to_end import machine, versions

CLASSES = 1008
PEER = "torch-fidelity: fid, kid, prc"


def features(n: int, dim: int, scale: float, seed: int) -> Features:
    """Gaussian rows whose columns' variances fall off as those of a network do, and logits."""
    random = np.random.default_rng(seed)
    spread = (np.arange(dim, dtype=np.float32) + 10) ** -0.3 * scale
    rows = random.standard_normal((n, dim), dtype=np.float32) * spread + 0.3
    logits = random.standard_normal((n, CLASSES), dtype=np.float32)
    return Features(torch.from_numpy(rows), torch.from_numpy(logits), "synthetic")


def torch_fidelity(fake: torch.Tensor, real: torch.Tensor) -> None:
    """The peer's three metrics of features, with its own defaults."""
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torch_fidelity.metric_kid import kid_features_to_metric
    from torch_fidelity.metric_prc import prc_features_to_metric

    fid_statistics_to_metric(*map(fid_features_to_statistics, (fake, real)), verbose=False)
    kid_features_to_metric(fake, real, kid_subset_size=min(1000, len(fake)), verbose=False)
    prc_features_to_metric(fake, real, verbose=False)


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
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
def main(sizes: tuple[int, ...], dim: int, limit: float, output: Path) -> None:
    warnings.simplefilter("ignore")
    wanted = {name: metric.options({}) for name, metric in METRICS.items() if metric.train != "needed"}
    seconds: dict[str, dict[int, float]] = {}
    record: dict[str, Any] = {
        "dim": dim, "sizes": sizes, "limit": limit, "machine": machine(torch.get_num_threads()),
        "versions": versions(), "load": [], "peak_mb": {}, "seconds": seconds,
    }  # fmt: skip
    for n in sorted(sizes):
        fake, real = features(n, dim, 0.95, 0), features(n, dim, 1.0, 1)
        for names in [*_batches(wanted), [PEER]]:
            spent = seconds.setdefault(", ".join(names), {})
            last = max(spent, default=0)
            slope = max(exponent(spent) or 2.0, 1.0)
            if last and spent[last] * (n / last) ** slope > limit:
                continue
            began = time.process_time()
            try:
                if names == [PEER]:
                    torch_fidelity(fake.pooled, real.pooled)
                else:
                    _compute(names, wanted, fake, real, None, torch.device("cpu"))
            except GanevalError as error:
                click.echo(f"{names}: {error}", err=True)
                continue
            spent[n] = round(time.process_time() - began, 3)
            record["load"].append(round(os.getloadavg()[0], 1))
            click.echo(f"n = {n}: {', '.join(names)}: {spent[n]} CPU s", err=True)
            write_result(output, json.dumps(record, indent=1).encode() + b"\n")
        record["peak_mb"][n] = math.ceil(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        write_result(output, json.dumps(record, indent=1).encode() + b"\n")


if __name__ == "__main__":
    main()
