"""The page's section on scale: what `scale` measured, and the arithmetic of a hundred million images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

IMAGES, MACHINES, SAMPLES, DRAWN = 100_000_000, 64, 50_000, 10_000
LINE = 10e9 / 8
"""Bytes a second of a 10 Gbit/s network."""


def scale(record: dict[str, Any], machine: str, rate: float | None) -> Iterator[str]:
    """machine: as the page names it. rate: images a CPU second end to end, None where it was not measured."""
    rows, n, dim, steps = record["rows"], record["n"], record["dim"], record["steps"]
    stream, two, score, kept = (steps.get(name) for name in ("stream", "two_passes", "score", "score_rows"))
    yield f"## A reference of {rows:,} images\n"
    yield machine
    yield f"`python -m tests.benchmarks.scale{' --keep' if kept else ''} -o tests/benchmarks/records/scale.json`\n"
    yield (
        f"{rows:,} synthetic rows of {dim:,} features, drawn {record['part']:,} at a time, were streamed into a "
        f"statistics file as `ganeval reference` does it, and {n:,} rows were scored against the file. Each step is a "
        "process.\n"
    )
    yield "| step | CPU s | wall s | peak GB |"
    yield "|---|---:|---:|---:|"
    what = {
        "stream": f"moments of {rows:,} rows{', which are kept in the file' if kept else ''}",
        "score": f"{', '.join(score['values'])} of {n:,} rows against the file's moments",
    }
    if kept:
        what["score_rows"] = f"{', '.join(kept['values'])} of {kept['n']:,} rows against {kept['n']:,} of the file's"
    for step, said in what.items():
        yield f"| {said} | {steps[step]['cpu']:.0f} | {steps[step]['wall']:.0f} | {steps[step]['peak_gb']:.2f} |"
    value, error = score["values"]["fid_debiased"]
    yield (
        f"\nDrawing the rows took another {stream['drawing']:.0f} CPU seconds. The file has "
        f"{stream['file_gb']:.2f} GB. The means and covariances found are {stream['rms_z_mean']:.3f} and "
        f"{stream['rms_z_cov']:.3f} standard errors from those of the distribution (root mean square; 1 is what "
        f"sampling alone gives). Of {two['rows']:,} rows the covariance differs from that in two passes of float64 by "
        f"{two['difference']:.0e} of its largest entry. The distance of the samples' distribution from the file's "
        f"moments is {score['exact']:.5f}; `fid` found {score['values']['fid'][0]:.5f} and `fid_debiased` {value:.5f}, "
        f"{(value - score['exact']) / error:+.1f} of its standard errors away. "
        "Peaks count the pages of the file that were read, which the system can take back.\n"
    )
    yield from arithmetic(rows / stream["cpu"], dim, rate, record["machine"]["cores"])


def arithmetic(rows: float, dim: int, rate: float | None, cores: int) -> Iterator[str]:
    """rows: of features into moments, a CPU second."""
    yield f"### {IMAGES:,} images: arithmetic, not a measurement\n"
    if rate is None:
        yield "The network's speed was not measured, so that nothing follows.\n"
        return
    network, moments = IMAGES / rate / 3600, IMAGES / rows / 3600
    one = (network + moments) / cores
    sent = (dim * dim + dim) * 8
    pairs = SAMPLES * IMAGES * dim * 2
    yield (
        f"* **Features:** {IMAGES:,} / {rate:.1f} images a CPU second = {network:,.0f} core hours. With the moments, "
        f"on {cores} cores {one:,.0f} hours ({one / 24:,.0f} days); on {MACHINES} such machines {one / MACHINES:,.0f} "
        "hours, for ranks share nothing until the end. A GPU takes over this part; this is of the CPU above alone.\n"
        f"* **Moments:** {IMAGES:,} / {rows:,.0f} rows a CPU second = {moments:,.1f} core hours, "
        f"{moments / (network + moments):.1%} of the whole. They stay on the CPU: where a GPU gives more rows a second "
        "than the cores of its rank take in, they are what one waits for.\n"
        f"* **Network:** a rank sends its moments once: {dim:,}² + {dim:,} doubles = {sent / 1e6:.1f} MB, whatever "
        f"the number of images. Those of {MACHINES} ranks pass in turn, {MACHINES * sent / 1e9:.2f} GB in all, "
        f"{MACHINES * sent / LINE:.1f} s at 10 Gbit/s. No rank holds more than two.\n"
        f"* **Disk:** kept features are {IMAGES:,} x {dim:,} x 4 bytes = {IMAGES * dim * 4 / 1e9:,.0f} GB. The cache, "
        "from which a run that was stopped goes on, is as much again, and the logits; `--no-cache` keeps none. The "
        f"statistics alone are {sent / 1e6:.1f} MB.\n"
        "* **What does not scale:** metrics of neighbours and kernels compare all pairs. The distances of "
        f"{SAMPLES:,} samples from all rows are {SAMPLES:,} x {IMAGES:,} x {dim:,} x 2 = {pairs:.1e} operations, those "
        f"within the reference {IMAGES // SAMPLES:,} times that. Draw from the kept rows: `--n {DRAWN}`. Rows are kept "
        "by one process alone. Of samples to be scored every rank gets the features of all.\n"
    )
