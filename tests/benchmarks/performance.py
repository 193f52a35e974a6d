"""docs/performance.md from the records of `end_to_end`, `growth`, `scale` and `gpu`.

python -m tests.benchmarks.performance [--check]
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from ganeval.files import write_result
from ganeval.numerics.pairwise import BLOCK
from tests.benchmarks.growth import KID, KINDS, PEER_KID, PEER_PRDC, PRDC, exponent
from tests.benchmarks.growth import PEER as FIDELITY
from tests.benchmarks.packages import FLOP_PER_IMAGE, LIMITS, PACKAGES
from tests.benchmarks.scale_page import scale

RECORDS = Path(__file__).parent / "records"
PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
PEER = {
    "ganeval, inception-pytorch": "pytorch-fid",
    "ganeval, inception": "torch-fidelity",
    "ganeval, inception-clean": "clean-fid",
    "ganeval, inception, bf16": "torch-fidelity",
}
PEERS = ("pytorch-fid", "torch-fidelity", "torchmetrics, antialias=False", "clean-fid")
INTRODUCTION = """# Performance

This page is made from the records in `tests/benchmarks/records/` by `python -m tests.benchmarks.performance`; each
table names the command that made its record, so that you can make it on your own machine.

CPU seconds are user and system time of the process together. They count work, not waiting, so they compare on a
machine that does other things too, though less exactly than on an idle one: the load is given. Every package reads
the same files and the same weights, drawn with a seed (the published ones are a download, and cost the same), in a
fresh process, in turn. Imports come before the clock; loading the weights, decoding, resizing, the network and the
distance after it.
"""
CLEAN = "clean-fid's own network is a download; the same network in plain PyTorch takes its place."
DIGITS = (
    "Where n is below the 2,048 features, the peers' distances lose digits and ganeval's does not "
    "(`tests/parity/test_metrics_peers.py`).\n"
)
SOURCES = {"cifar10": "32-pixel PNG of CIFAR-10", "photos": "photographs (JPEG of different sizes)"}
GPU = """On a CUDA card the CPU prepares a batch while the card computes the one before: files are decoded by up to 8
processes (`--workers`; 0 on the CPU and for arrays), their pixels copied from pinned memory on a stream of their own
and resized on the card, and results come back one batch late. Convolutions and products are fp32 without TF32 unless
`--precision` says bf16 or fp16; metrics are computed on the card. A batch that does not fit the card's
memory is halved, and so are those after it. On Apple's MPS, which has no float64, metrics are computed on the CPU.
That nothing mixes devices is tested with a stand-in for a card, with float64 and without (`tests/test_on_a_card.py`).

Left out: nvJPEG, for it rounds otherwise than libjpeg, and the same file would have other pixels and another FID than
on a CPU; CUDA graphs, which save what Python spends on launching kernels, and little at batches of 256
(`--batch-size`), until the benchmark, which measures both, says otherwise.
"""
WIDE = 2048
"""Inception's features."""
WHAT_FAILED = "A row without numbers was not measured."


def page() -> str:
    """The whole page; no record, no table."""
    parts = [INTRODUCTION]
    for name in SOURCES:
        if record := _record(name):
            parts += end_to_end(record, _record(f"{name}-few"))
    for name in ("growth", "growth-64"):
        if record := _record(name):
            parts += growth(record, name)
    if record := _record("scale"):
        loads = [step["load"] for step in record["steps"].values() if "load" in step]
        rates = further(_record("cifar10"), _record("cifar10-few"))
        parts += scale(record, machine(record, loads), rates.get("ganeval, inception"))
    parts += gpu(_record("gpu"))
    return "\n".join(parts) + "\n"


def _record(name: str) -> dict[str, Any] | None:
    path = RECORDS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def _runs(record: dict[str, Any] | None) -> dict[str, list[dict[str, Any]]]:
    runs: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for run in record["runs"] if record else []:
        if "value" in run:
            runs[run["package"]].append(run)
    return runs


def _spent(runs: list[dict[str, Any]]) -> float:
    return median(run["user"] + run["system"] for run in runs)


def end_to_end(record: dict[str, Any], few: dict[str, Any] | None) -> Iterator[str]:
    """few: the same with a few images, whose cost is what does not grow with n: the weights and the distance."""
    runs = _runs(record)
    n, name = record["n"], record["images"]
    yield f"## FID of {n} and {n} {SOURCES[name]}\n"
    yield machine(record, [run["load"] for run in record["runs"]])
    yield f"`python -m tests.benchmarks.end_to_end {name} --n {n} --repeats 3 " \
          f"-o tests/benchmarks/records/{name}.json`\n"  # fmt: skip
    rate = {package: 2 * n / _spent(runs[package]) for package in runs}
    more = further(record, few)
    yield "| package | runs | images / CPU s | further images / CPU s | system time | wall s | peak GB | FID " \
          "| FID / its peer's - 1 |"  # fmt: skip
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    for package in PACKAGES:
        if not (done := runs.get(package)):
            yield f"| {package} | 0 | | | | | | | |"
            continue
        share = median(run["system"] / (run["user"] + run["system"]) for run in done)
        value, peer = done[0]["value"], runs.get(PEER.get(package, ""))
        cells = (
            package, str(len(done)), f"{rate[package]:.1f}", f"{more[package]:.1f}" if package in more else "",
            f"{share:.0%}", f"{median(r['wall'] for r in done):.0f}",
            f"{median(run['peak_mb'] for run in done) / 1024:.2f}", f"{value:.6f}",
            f"{value / peer[0]['value'] - 1:+.1e}" if peer else "",
        )  # fmt: skip
        yield f"| {' | '.join(cells)} |"
    yield f"\n{WHAT_FAILED} {CLEAN}\n"
    if few:
        yield f"Further images: the images beyond {2 * few['n']} over the CPU time beyond that of {2 * few['n']}, " \
              "which leaves out the weights and the distance; it is what counts where n is large.\n"  # fmt: skip
    for what, rates in (("Images", rate), ("Further images", more)):
        peers = [rates[package] for package in PEERS if package in rates]
        said = [f"{package}: {rates[package] / max(peers):.1f} times" for package in PEER if package in rates and peers]
        if said:
            yield f"{what} a CPU second over those of the fastest peer ({max(peers):.1f}): {'; '.join(said)}.\n"
    yield DIGITS
    exact, ours = (
        runs.get(name) for name in ("pytorch-fid's features, ganeval's distance", "ganeval, inception-pytorch")
    )
    if exact and ours:
        yield f"From pytorch-fid's features and from ganeval's own, ganeval's distance differs by " \
              f"{abs(ours[0]['value'] / exact[0]['value'] - 1):.0e} of itself.\n"  # fmt: skip
    yield from limits(runs)


def further(record: dict[str, Any] | None, few: dict[str, Any] | None) -> dict[str, float]:
    """{package: images a CPU second beyond those of `few`}."""
    if not (record and few):
        return {}
    runs, fixed, n = _runs(record), _runs(few), record["n"] - few["n"]
    return {name: 2 * n / (_spent(runs[name]) - _spent(fixed[name])) for name in runs if name in fixed}


def limits(runs: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    """How near the network alone comes to a matrix product of the same number of operations."""
    best = {name: max(run["value"] for run in runs[name]) for name in LIMITS if runs.get(name)}
    for precision, dtype in (("fp32", "float32"), ("bf16", "bfloat16")):
        forward, product = best.get(f"forward {precision}"), best.get(f"gemm {dtype}")
        if forward and product:
            ceiling = product * 1e9 / FLOP_PER_IMAGE
            yield (
                f"In {precision} the network alone, 16 images at a time, does {forward:.1f} images a CPU second; its "
                f"{FLOP_PER_IMAGE / 1e9:.2f} GFLOP at the speed of the best matrix product found "
                f"({product:.0f} GFLOP/s) would be {ceiling:.1f}: {forward / ceiling:.0%}.\n"
            )


def growth(record: dict[str, Any], name: str) -> Iterator[str]:
    sizes = sorted(int(n) for n in record["sizes"])
    yield f"## Growth with n, {record['dim']} features\n"
    yield machine(record, record["load"])
    options = [f"--n {n}" for n in sizes] + [f"--dim {record['dim']}"]
    options += [f"--kind {kind}" for kind in record["kinds"]] if len(record["kinds"]) < len(KINDS) else []
    repeats = record.get("repeats", 1)
    options += [f"--repeats {repeats}"] if repeats > 1 else []
    yield f"`python -m tests.benchmarks.growth {' '.join(options)} -o tests/benchmarks/records/{name}.json`\n"
    medians = f" Medians of {repeats} runs, taken in turn." if repeats > 1 else ""
    yield "CPU seconds for all the named metrics together, which share their passes over the features; then for some " \
          f"of them alone, and for peers.{medians} The sets are Gaussian, of a density of about 1, as good " \
          "generators have: more pairs of images within a ball take longer. An empty cell would have cost more than " \
          f"{record['limit']:.0f} CPU seconds, or the time did not suffice: not measured.\n"  # fmt: skip
    yield f"| metrics | {' | '.join(f'n = {n:,}' for n in sizes)} | exponent |"
    yield f"|---|{'---:|' * (len(sizes) + 1)}"
    families, alone, peers = (record["seconds"][kind] for kind in ("families", "alone", "peers"))
    for name, found in families.items():
        yield _row(name, found, sizes)
    whole = {str(n): sum(found[str(n)] for found in families.values())
             for n in sizes if all(str(n) in found for found in families.values())}  # fmt: skip
    yield _row("**all of the above: what `ganeval score` computes of Inception features**", whole, sizes)
    for name, found in (alone | peers).items():
        yield _row(name, found, sizes)
    yield ""
    yield from ratios(whole, alone, peers)
    peaks = [f"{mb / 1024:.2f} GB at n = {int(n):,}" for n, mb in record["peak_mb"].items()]
    if peaks:
        yield "Peak memory of the process up to then, before the peers, features and logits of both sets included: " \
              f"{'; '.join(peaks)}.\n"  # fmt: skip
    most, more = sizes[-1], WIDE - record["dim"]
    if more > 0:
        sets, blocks = 2 * most * more * 4 / 2**30, 2 * BLOCK * more * 8 / 2**30
        yield f"With {WIDE} features the two sets would take {sets:.2f} GB more at n = {most:,}, in float32, and the " \
              f"blocks of {BLOCK} rows {blocks:.2f} GB: nothing else in the pass over pairs of images grows with the " \
              "number of features.\n"  # fmt: skip


def _row(name: str, found: dict[str, float], sizes: list[int]) -> str:
    slope = exponent({int(n): value for n, value in found.items()})
    cells = [f"{found[str(n)]:.2f}" if str(n) in found else "" for n in sizes]
    return f"| {name} | {' | '.join(cells)} | {'' if slope is None else f'{slope:.1f}'} |"


def ratios(
    whole: dict[str, float], alone: dict[str, dict[str, float]], peers: dict[str, dict[str, float]]
) -> Iterator[str]:
    """What is asked of the metrics, beside what was measured at the largest n where both were."""
    for ours, what, theirs, asked in (
        (whole, "all of them", FIDELITY, 1.0),
        (alone.get(KID, {}), "kid", PEER_KID, 1.0),
        (alone.get(PRDC, {}), PRDC, PEER_PRDC, 5.0),
    ):
        both = [n for n in ours if n in peers.get(theirs, {})]
        if both:
            n = max(both, key=int)
            ratio = peers[theirs][n] / ours[n]
            yield f"At n = {int(n):,}, {theirs} costs {ratio:.2f} times what {what} cost here; the goal, {asked:.0f} " \
                  f"times or more, is {'met' if ratio >= asked else '**not met**'}.\n"  # fmt: skip


def gpu(record: dict[str, Any] | None) -> Iterator[str]:
    """What one card does; without a record, only how it is used."""
    yield f"\n## On a GPU\n\n{GPU}"
    command = "`python -m tests.benchmarks.gpu -o tests/benchmarks/records/gpu.json`"
    if record is None:
        yield f"Not measured: no GPU was to hand. {command} measures it, and this page then shows it."
        return
    yield f"{record['card']}, {record['n']:,} images of each kind, {record['batch_size']} at a time. {command}\n"
    yield "| images | package | images / s | times torch-fidelity | share of a product's FLOP/s | waiting for images " \
          "| peak GB | features off by |"  # fmt: skip
    yield "|---|---|---:|---:|---:|---:|---:|---:|"
    rates = {row["images"]: row["images_per_s"] for row in record["extraction"] if row["package"] == "torch-fidelity"}
    for row in record["extraction"]:
        peak = record["limits"]["bf16" if row["package"].endswith("bf16") else "fp32"]["tflops"]
        cells = (
            row["images"], row["package"], f"{row['images_per_s']:,.0f}",
            f"{row['images_per_s'] / rates[row['images']]:.1f}",
            f"{row['images_per_s'] * FLOP_PER_IMAGE / 1e12 / peak:.0%}",
            f"{row['waited_for_images']:.0%}" if "waited_for_images" in row else "",
            f"{row['peak_gb']:.1f}" if "peak_gb" in row else "", f"{row['off']:.0e}" if "off" in row else "",
        )  # fmt: skip
        yield f"| {' | '.join(cells)} |"
    yield "\nOff by: root mean square difference from torch-fidelity's features, over their spread.\n"
    for precision in ("fp32", "bf16"):
        found = record["limits"][precision]
        graph = f", {found['network_by_graph']:,.0f} as a CUDA graph" if "network_by_graph" in found else ""
        yield f"In {precision} a large product reaches {found['tflops']:.1f} TFLOP/s; the network alone does " \
              f"{found['network']:,.0f} images a second{graph}.\n"  # fmt: skip
    batch = "; ".join(f"{name} {taken * 1000:.1f} ms" for name, taken in record["limits"]["seconds a batch"].items())
    yield f"Of a batch: {batch}.\n"
    times = ", ".join(f"{name} {taken:.2f}" for name, taken in record["metrics"].items())
    yield f"Seconds at n = {record['pairs']:,} and 2,048 features: {times}."


def machine(record: dict[str, Any], load: list[float]) -> str:
    found = record["machine"]
    libraries = ", ".join(f"{name} {version}" for name, version in record["versions"].items() if version != "absent")
    loads = f"; load average {min(load):.0f} to {max(load):.0f}" if load else ""
    return (
        f"{found['cpu']} ({', '.join(found['instructions'])}), {found['cores']} cores, {found['threads']} thread(s) "
        f"used{loads}. {libraries}.\n"
    )


def main() -> None:
    """Writes the page; with --check, exits 1 where it is not what the records say."""
    text = page()
    if "--check" not in sys.argv[1:]:
        write_result(PAGE, text.encode())
    elif PAGE.read_text() != text:
        sys.exit(f"{PAGE.name} is not what the records say; run python -m tests.benchmarks.performance")


if __name__ == "__main__":
    main()
