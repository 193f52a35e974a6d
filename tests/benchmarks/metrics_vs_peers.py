"""Times the metrics beside their peers on equal features, in turn, and prints CPU seconds, values and ratios.

python -m tests.benchmarks.metrics_vs_peers --n 3000 --dim 2048 --repeats 3
"""

from __future__ import annotations

import contextlib
import io
import statistics
import time
import warnings
from collections.abc import Callable

import click
import numpy as np
import torch

from ganeval import metrics
from ganeval.comparison import NEIGHBOURS
from ganeval.metrics.frechet import distance
from ganeval.metrics.neighbours import neighbours
from ganeval.registry import METRICS


def peers(fake: np.ndarray, real: np.ndarray) -> dict[str, tuple[Callable[[], float], str, Callable[[], float]]]:
    """{what: (ours, the peer's name, the peer's)}; each returns the number that both should agree on."""
    import ot
    from prdc import compute_prdc
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torch_fidelity.metric_kid import kid_features_to_metric
    from vendi_score import vendi

    x, y = torch.from_numpy(fake), torch.from_numpy(real)
    size = min(1000, len(fake))
    prdc_names = ("precision", "recall", "density", "coverage")
    five = {name: {"k": 5, "strict": True} for name in prdc_names}
    all_neighbours = {name: m.options({}) for name, m in METRICS.items() if name in NEIGHBOURS}
    unit = fake / np.linalg.norm(fake, axis=1, keepdims=True)

    def fidelity_fid() -> float:
        sides = [fid_features_to_statistics(rows) for rows in (x, y)]
        return fid_statistics_to_metric(*sides, verbose=False)["frechet_inception_distance"]

    def fidelity_kid() -> float:
        return kid_features_to_metric(x, y, kid_subset_size=size, verbose=False)["kernel_inception_distance_mean"]

    def prdc() -> float:
        with contextlib.redirect_stdout(io.StringIO()):
            return float(compute_prdc(real, fake, nearest_k=5)["coverage"])

    few = min(2000, len(fake))

    return {
        "FID alone": (lambda: distance(x, y), "torch-fidelity", fidelity_fid),
        "FID and its standard error": (lambda: float(metrics.fid(x, y)), "torch-fidelity", fidelity_fid),
        "KID, subsets and full": (lambda: float(metrics.kid(x, y, seed=2020)), "torch-fidelity", fidelity_kid),
        "P, R, D, C": (lambda: float(neighbours(x, y, five)["coverage"]), "prdc", prdc),
        "P, R, D, C and 1-NN": (lambda: float(neighbours(x, y, all_neighbours)["coverage"]), "prdc (no 1-NN)", prdc),
        f"EMD, n = {few}": (
            lambda: float(metrics.emd(x[:few], y[:few])),
            "POT",
            lambda: float(ot.emd2([], [], ot.dist(fake[:few], real[:few], metric="euclidean"), numItermax=10**7)),
        ),
        "Vendi": (lambda: float(metrics.vendi(x)), "vendi-score", lambda: float(vendi.score_dual(unit))),
        "Vendi of float64": (
            lambda: float(metrics.vendi(x.double())),
            "vendi-score",
            lambda: float(vendi.score_dual(unit.astype(np.float64))),
        ),
        "sliced Wasserstein, 500": (
            lambda: float(metrics.sliced_wasserstein(x, y)),
            "POT",
            lambda: float(ot.sliced_wasserstein_distance(fake, real, n_projections=500, seed=0)),
        ),
    }


@click.command()
@click.option("--n", default=3000)
@click.option("--dim", default=2048)
@click.option("--repeats", default=3)
def main(n: int, dim: int, repeats: int) -> None:
    """Prints a Markdown table; the ratio is the peer's CPU time over ours."""
    warnings.simplefilter("ignore")
    random = np.random.RandomState(0)
    scale = (np.arange(dim) + 10.0) ** -0.3
    fake, real = ((random.randn(n, dim) * scale * s + 0.3).astype(np.float32) for s in (0.95, 1.0))
    click.echo(f"n = {n}, D = {dim}, float32, medians of {repeats}\n")
    click.echo("| metric | ours | peer | CPU s | peer's CPU s | ratio |\n|---|---:|---:|---:|---:|---:|")
    for what, (ours, name, theirs) in peers(fake, real).items():
        seconds: dict[bool, list[float]] = {True: [], False: []}
        values = {}
        for _ in range(repeats):
            for mine, function in ((True, ours), (False, theirs)):
                began = time.process_time()
                values[mine] = function()
                seconds[mine].append(time.process_time() - began)
        a, b = (statistics.median(seconds[mine]) for mine in (True, False))
        row = (what, f"{values[True]:.6g}", f"{name} {values[False]:.6g}", f"{a:.2f}", f"{b:.2f}", f"{b / a:.1f}x")
        click.echo(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
