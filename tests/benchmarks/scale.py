"""A reference of a million rows of features streamed into a statistics file, and samples scored against it.

python -m tests.benchmarks.scale --keep -o tests/benchmarks/records/scale.json

Rows are drawn a part at a time, so that no more than a part is ever in memory, and streamed as `ganeval reference`
streams those of images. Each step has a process of its own, whose peak memory and CPU seconds are recorded; drawing the
rows is timed apart.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor

import ganeval
from ganeval.files import write_result
from ganeval.metrics.frechet import distance
from ganeval.reference import load_statistics, write_statistics
from ganeval.summarise import PART
from ganeval.types import Features, Moments
from tests.benchmarks.end_to_end import machine, versions
from tests.benchmarks.growth import features

METRICS = ("fid", "fid_debiased")
ROW_METRICS = ("kid", "precision", "recall", "density", "coverage")
DRAWN = 10_000
"""Of the kept rows, and of the samples, for the metrics that need rows."""
SHRUNK = 0.95
"""The samples' standard deviations over the reference's."""


def spread(dim: int) -> np.ndarray:
    """Standard deviations that fall off as those of `growth.features`."""
    return (np.arange(dim, dtype=np.float32) + 10) ** -0.3


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def used(began: float) -> dict[str, float]:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"cpu": round(cpu() - began, 1), "peak_gb": round(peak, 3), "load": round(os.getloadavg()[0], 1)}


def stream(path: Path, rows: int, dim: int, keep: bool) -> dict[str, Any]:
    """The statistics of the rows, and how far they are from the population's, in standard errors."""
    drawing = 0.0

    def parts() -> Iterator[Tensor]:
        nonlocal drawing
        for i in range(0, rows, PART):
            began = cpu()
            part = features(min(PART, rows - i), dim, 1.0, i).pooled
            drawing += cpu() - began
            yield part

    began, start = cpu(), time.perf_counter()
    found = write_statistics(path, parts(), "synthetic", keep=rows if keep else None)
    measured = used(began)
    variance = torch.from_numpy(spread(dim).astype(float) ** 2)
    apart_mean = (found.mean - 0.3) / (variance / rows).sqrt()
    apart_cov = (found.cov - torch.diag(variance)) / (
        (torch.outer(variance, variance) * (1 + torch.eye(dim))) / rows
    ).sqrt()
    return {
        **measured, "cpu": round(measured["cpu"] - drawing, 1), "drawing": round(drawing, 1),
        "wall": round(time.perf_counter() - start, 1), "file_gb": round(path.stat().st_size / 2**30, 3),
        "rms_z_mean": round(float(apart_mean.square().mean().sqrt()), 4),
        "rms_z_cov": round(float(apart_cov.square().mean().sqrt()), 4),
    }  # fmt: skip


def two_passes(path: Path, rows: int, dim: int) -> dict[str, float]:
    """The largest difference of a streamed covariance from that of the same rows in two passes of float64."""
    found = write_statistics(path, (features(min(PART, rows - i), dim, 1.0, i).pooled for i in range(0, rows, PART)))
    whole = torch.cat([features(min(PART, rows - i), dim, 1.0, i).pooled for i in range(0, rows, PART)]).double()
    cov = whole.T.cov()
    return {"rows": rows, "difference": float((found.cov - cov).abs().max() / cov.abs().max())}


def score(path: Path, n: int, dim: int) -> dict[str, Any]:
    """Samples from a known Gaussian, the reference's but narrower; its true distance from the file's moments beside."""
    fake = features(n, dim, SHRUNK, 2**31)
    fake = Features(fake.pooled, None, "synthetic")
    began, start = cpu(), time.perf_counter()
    report = ganeval.score(fake, path, metrics=METRICS, cache=False)
    values = {name: [report[name].value, report[name].std_error] for name in METRICS}
    measured = {**used(began), "wall": round(time.perf_counter() - start, 1)}
    cov = torch.from_numpy((SHRUNK * spread(dim).astype(float)) ** 2).diag()
    exact = distance(Moments(torch.full((dim,), 0.3, dtype=torch.float64), cov), load_statistics(path))
    return {**measured, "exact": exact, "values": values}


def score_rows(path: Path, n: int, dim: int) -> dict[str, Any]:
    """Metrics of rows, against some drawn from those that the file keeps."""
    fake = features(min(n, DRAWN), dim, SHRUNK, 2**31)
    fake = Features(fake.pooled, None, "synthetic")
    began, start = cpu(), time.perf_counter()
    report = ganeval.score(fake, path, metrics=ROW_METRICS, n=len(fake), cache=False)
    values = {name: [report[name].value, report[name].std_error] for name in ROW_METRICS}
    return {**used(began), "wall": round(time.perf_counter() - start, 1), "n": len(fake), "values": values}


STEPS = {"stream": stream, "two_passes": two_passes, "score": score, "score_rows": score_rows}


@click.command()
@click.option("--rows", default=1_000_000, show_default=True)
@click.option("--n", default=50_000, show_default=True, help="Samples.")
@click.option("--dim", default=2048, show_default=True)
@click.option("--keep", is_flag=True, help="Keep the rows in the file too, and score against some of them.")
@click.option("-o", "--output", type=click.Path(path_type=Path))
@click.option("--step", nargs=2, hidden=True)
def main(rows: int, n: int, dim: int, keep: bool, output: Path | None, step: tuple[str, str] | None) -> None:
    if step:
        arguments = (rows, dim, keep) if step[0] == "stream" else (n, dim)
        click.echo(json.dumps(STEPS[step[0]](Path(step[1]), *arguments)))
        return
    record: dict[str, Any] = {
        "rows": rows, "n": n, "dim": dim, "keep": keep, "part": PART,
        "machine": machine(torch.get_num_threads()), "versions": versions(), "steps": {},
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as place:
        for name in STEPS if keep else ("stream", "two_passes", "score"):
            file = Path(place) / ("part.npz" if name == "two_passes" else "reference.npz")
            options = [f"--rows={rows}", f"--n={n}", f"--dim={dim}", *(["--keep"] if keep else [])]
            done = subprocess.run(
                [sys.executable, "-m", "tests.benchmarks.scale", *options, "--step", name, str(file)],
                stdout=subprocess.PIPE, text=True, check=True,
            )  # fmt: skip
            record["steps"][name] = json.loads(done.stdout)
            click.echo(f"{name}: {done.stdout.strip()}", err=True)
            if output:
                write_result(output, json.dumps(record, indent=1).encode() + b"\n")


if __name__ == "__main__":
    main()
