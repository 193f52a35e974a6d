"""Features and metrics on one card: images/s, the share of the card's peak, and where the time goes.

python -m tests.benchmarks.gpu -o tests/benchmarks/records/gpu.json
python -m tests.benchmarks.gpu --device cpu --n 8 --pairs 300 --batch-size 4 -o gpu.json    # tries the script

The images are drawn with a seed: in memory, as a folder of 32-pixel PNG, as a folder of JPEG of 640 x 480. Each row
is run once before its clock starts, which stops when the device is done. torch-fidelity runs as it comes, with its own
number of decoding processes and with PyTorch's TF32 for convolutions. `python -m tests.benchmarks.performance` makes
the page.
"""

from __future__ import annotations

import json
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

import ganeval
from ganeval.devices import in_precision, pick_device
from ganeval.evaluate import plan, run
from ganeval.extractors import load_extractor
from ganeval.extractors.inception import SIZE
from ganeval.files import write_result
from ganeval.fp32 import true_fp32
from ganeval.numerics.pairwise import distances
from ganeval.types import Extractor
from tests.benchmarks.end_to_end import machine, versions
from tests.benchmarks.growth import features
from tests.seeded_weights import save_seeded_inception

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


def seconds(work: Callable[[], object], device: torch.device, repeats: int = 3) -> float:
    """Wall clock until the device is done, the median, after one run that does not count."""
    taken = []
    for _ in range(repeats + 1):
        _wait(device)
        began = time.perf_counter()
        work()
        _wait(device)
        taken.append(time.perf_counter() - began)
    return median(taken[1:])


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def write_images(n: int, into: Path) -> dict[str, Tensor | Path]:
    """n images in memory, and as files of two kinds; smooth, so that they compress as pictures do."""
    random = np.random.default_rng(0)
    (into / "png").mkdir()
    (into / "jpeg").mkdir()
    small = []
    for i in range(n):
        grid = Image.fromarray(random.integers(256, size=(6, 8, 3), dtype=np.uint8))
        small.append(np.asarray(grid.resize((32, 32), Image.Resampling.BICUBIC)))
        Image.fromarray(small[-1]).save(into / "png" / f"{i:06}.png")
        grid.resize((640, 480), Image.Resampling.BICUBIC).save(into / "jpeg" / f"{i:06}.jpg", quality=90)
    memory = torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2)
    return {"32 pixels, in memory": memory, "32 pixels, PNG": into / "png", "640 x 480, JPEG": into / "jpeg"}


class _InMemory(Dataset):
    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> Tensor:
        return self.images[i]


def peer(images: Tensor | Path, weights: Path, device: torch.device, batch_size: int) -> Callable[[], Tensor]:
    """torch-fidelity's features, with the calls that its `calculate_metrics` makes."""
    from torch_fidelity.datasets import ImagesPathDataset
    from torch_fidelity.utils import create_feature_extractor, get_featuresdict_from_dataset

    on_card = device.type == "cuda"
    net = create_feature_extractor(
        "inception-v3-compat", ["2048"], cuda=on_card, feature_extractor_weights_path=str(weights), verbose=False
    )
    data = _InMemory(images) if isinstance(images, Tensor) else ImagesPathDataset(sorted(map(str, images.iterdir())))
    return lambda: get_featuresdict_from_dataset(data, net, batch_size, on_card, False, False)["2048"]


def extraction(
    sources: dict[str, Tensor | Path], net: Extractor, weights: Path, device: torch.device, batch_size: int
) -> list[dict[str, Any]]:
    """Each kind of images through ganeval in both precisions and through torch-fidelity."""
    rows = []
    for images, source in sources.items():
        theirs = peer(source, weights, device, batch_size)
        ways: dict[str, Callable[[], Any]] = {
            f"ganeval {precision}": lambda precision=precision, source=source: ganeval.extract(
                source, net, device=str(device), precision=precision, batch_size=batch_size, cache=False
            )
            for precision in PRECISIONS
        }
        expected = theirs()
        for package, way in {**ways, "torch-fidelity": theirs}.items():
            if device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(device)
            found: list[Any] = []
            taken = seconds(lambda way=way, found=found: found.append(way()), device)
            row = {"images": images, "package": package, "images_per_s": len(expected) / taken}
            if device.type == "cuda":
                row["peak_gb"] = torch.cuda.max_memory_allocated(device) / 2**30
            if isinstance(found[-1], ganeval.Features):
                row["waited_for_images"] = found[-1].survey.decode_seconds / taken
                row["off"] = float((found[-1].pooled - expected).square().mean().sqrt() / expected.std(0).mean())
            rows.append(row)
            click.echo(json.dumps(row), err=True)
    return rows


def limits(net: Extractor, device: torch.device, batch_size: int) -> dict[str, dict[str, float]]:
    """A large product's TFLOP/s, images/s of the network alone, and the seconds of a batch's resize and copy."""
    net = net.to(device)
    side = 8192 if device.type == "cuda" else 256
    found: dict[str, dict[str, float]] = {}
    for precision, dtype in PRECISIONS.items():
        a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
        inputs = torch.rand(batch_size, 3, SIZE, SIZE, device=device) * 2 - 1
        with torch.no_grad(), true_fp32(), in_precision(device, precision):
            found[precision] = {
                "tflops": 2 * side**3 / seconds(lambda a=a, b=b: a @ b, device, 10) / 1e12,
                "network": batch_size / seconds(lambda inputs=inputs: net(inputs), device, 10),
            }
            if device.type == "cuda":
                with suppress(RuntimeError):  # what can't be captured is not measured
                    found[precision]["network_by_graph"] = batch_size / seconds(_replay(net, inputs), device, 10)
    small = torch.zeros(batch_size, 3, 32, 32, dtype=torch.uint8, device=device)
    large = torch.zeros(batch_size, 3, 480, 640, dtype=torch.uint8)
    large = large.pin_memory() if device.type == "cuda" else large
    with true_fp32():
        found["seconds a batch"] = {
            "resize of 32 pixels": seconds(lambda: net.resize(small), device, 10),
            "copy of 640 x 480": seconds(lambda: large.to(device, copy=True), device, 10),
        }
    return found


def _replay(net: Extractor, inputs: Tensor) -> Callable[[], None]:
    """The network as a CUDA graph, whose kernels Python does not launch one by one; warmed up on a side stream."""
    beside = torch.cuda.Stream()
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):
        for _ in range(3):
            net(inputs)
    torch.cuda.current_stream().wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        net(inputs)
    return graph.replay


def metrics(device: torch.device, n: int) -> dict[str, float]:
    """Seconds of all distances between two sets of n rows, and of each metric or family of them."""
    fake, real = features(n, 2048, 0.95, 0), features(n, 2048, 1.0, 1)
    x, y = fake.pooled.to(device), real.pooled.to(device)

    def all_distances() -> None:
        for part in x.split(1024):
            distances(part, y)

    found = {"all distances": seconds(all_distances, device)}
    scored, _ = run(plan(None, fake, real, "inception", 0), fake, real, device=device, cache_key=None)
    return {**found, **{name: line.seconds for name, line in scored.items()}}


@click.command()
@click.option("--device", "name", default="cuda", show_default=True)
@click.option("--n", default=20_000, show_default=True, help="Images of each kind.")
@click.option("--pairs", default=50_000, show_default=True, help="Rows of each set of features, for the metrics.")
@click.option("--batch-size", default=256, show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
def main(name: str, n: int, pairs: int, batch_size: int, output: Path) -> None:
    warnings.simplefilter("ignore")
    device = pick_device(name)
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else name
    record: dict[str, Any] = {
        "card": card, "n": n, "pairs": pairs, "batch_size": batch_size,
        "machine": machine(torch.get_num_threads()), "versions": versions(),
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as place:
        weights = save_seeded_inception(Path(place) / "seeded-inception.pth")
        net = load_extractor("inception", weights=weights)
        record["limits"] = limits(net, device, batch_size)
        record["extraction"] = extraction(write_images(n, Path(place)), net, weights, device, batch_size)
    record["metrics"] = metrics(device, pairs)
    write_result(output, json.dumps(record, indent=1).encode() + b"\n")


if __name__ == "__main__":
    main()
