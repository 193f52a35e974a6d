"""FID of two folders by ganeval and each peer in turn: the same files and weights, a fresh process each time.

python -m tests.benchmarks.end_to_end cifar10 --n 400 --repeats 3 -o tests/benchmarks/records/cifar10.json
python -m tests.benchmarks.end_to_end photos --n 70 --repeats 3 -o tests/benchmarks/records/photos.json

GANEVAL_DATA names the folder with cifar10-jpeg-test.zip and photos/. The record is written after every process, and
what is measured is added to a record of the same images, machine and versions, so that a run may be stopped.
`python -m tests.benchmarks.performance` makes the page.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from importlib.metadata import PackageNotFoundError, version
from io import BytesIO
from pathlib import Path
from typing import Any

import click
from PIL import Image

from ganeval.errors import GanevalError
from ganeval.files import write_result
from tests.benchmarks.packages import LIMITS, PACKAGES
from tests.seeded_weights import save_seeded_inception

LIBRARIES = ("torch", "numpy", "scipy", "ganeval", "pytorch-fid", "torch-fidelity", "torchmetrics", "clean-fid")


def cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown"


def machine(threads: int) -> dict[str, Any]:
    """What the numbers depend on besides the code; no host and no path."""
    flags = Path("/proc/cpuinfo").read_text().partition("flags")[2].partition("\n")[0].split()
    special = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags]
    return {"cpu": cpu_name(), "instructions": special, "cores": os.cpu_count(), "threads": threads}


def versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def write_folders(images: str, n: int, into: Path) -> tuple[Path, Path]:
    """n fake and n real files. CIFAR's JPEG are saved as PNG; photographs stay the files that they are."""
    data, folders = Path(os.environ["GANEVAL_DATA"]), (into / "fake", into / "real")
    for folder in folders:
        folder.mkdir()
    if images == "photos":
        paths = sorted(path for path in (data / "photos").iterdir() if path.suffix.lower() in (".jpeg", ".jpg"))
        for i, path in enumerate(paths[: 2 * n]):
            shutil.copyfile(path, folders[i % 2] / f"{i:05}.jpg")
        return folders
    with zipfile.ZipFile(data / "cifar10-jpeg-test.zip") as archive:
        names = sorted(name for name in archive.namelist() if not name.endswith((".json", "/")))
        for i, name in enumerate(names[:: len(names) // (2 * n)][: 2 * n]):
            image = Image.open(BytesIO(archive.read(name))).convert("RGB")
            image.save(folders[i % 2] / f"{i:05}.png")
    return folders


@click.command()
@click.argument("images", type=click.Choice(["cifar10", "photos"]))
@click.option("--n", default=400, show_default=True, help="Images of each set.")
@click.option("--repeats", default=3, show_default=True)
@click.option("--threads", default=1, show_default=True)
@click.option("--package", "only", multiple=True, type=click.Choice([*PACKAGES, *LIMITS]), help="Default: all.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
def main(images: str, n: int, repeats: int, threads: int, only: tuple[str, ...], output: Path) -> None:
    record: dict[str, Any] = {"images": images, "n": n, "machine": machine(threads), "versions": versions(), "runs": []}
    if output.exists():
        earlier = json.loads(output.read_text())
        if {**earlier, "runs": []} != record:
            raise GanevalError(f"{output} is of other images, another machine or other versions; give another file")
        record = earlier
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    with tempfile.TemporaryDirectory() as place:
        fake, real = write_folders(images, n, Path(place))
        weights = save_seeded_inception(Path(place) / "seeded-inception.pth")
        for _ in range(repeats):
            for name in only or [*PACKAGES, *LIMITS]:
                # pytorch-fid, torch-fidelity and torchmetrics stack a batch before they resize it.
                same_sizes = images == "cifar10" or name.startswith("ganeval") or name == "clean-fid"
                batch = 64 if same_sizes else 1
                done = subprocess.run(
                    [sys.executable, "-m", "tests.benchmarks.packages", name, fake, real, weights, str(batch)],
                    env=environment, capture_output=True, text=True, check=False,
                )  # fmt: skip
                line: dict[str, Any] = {"package": name, "load": round(os.getloadavg()[0], 1)}
                if done.returncode == 0:
                    line |= json.loads(done.stdout.splitlines()[-1])
                else:
                    line["failed"] = done.stderr.strip().splitlines()[-1]
                record["runs"].append(line)
                write_result(output, json.dumps(record, indent=1).encode() + b"\n")
                click.echo(json.dumps(line), err=True)


if __name__ == "__main__":
    main()
