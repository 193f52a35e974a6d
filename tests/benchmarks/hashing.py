"""What the cache's digests cost: their share of a first score, and a second score with and without reading the files.

python -m tests.benchmarks.hashing cifar10 --n 400
python -m tests.benchmarks.hashing photos --n 70
python -m tests.benchmarks.hashing mnist --n 10000

GANEVAL_DATA names the folder with cifar10-jpeg-test.zip, photos/ and MNIST/. Prints a table in Markdown.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
import torch
from PIL import Image

from ganeval.files import sha256_file
from ganeval.images import open_images
from ganeval.images.digests import SETTLED
from ganeval.scoring import score
from tests.benchmarks.end_to_end import cpu_name, write_folders
from tests.seeded_weights import save_seeded_inception

SOURCES = {
    "cifar10": "32-pixel PNG of CIFAR-10",
    "photos": "photographs",
    "mnist": "28-pixel PNG of MNIST",
}


def write_mnist(n: int, into: Path) -> tuple[Path, Path]:
    """n images of the test set, and n of the training set."""
    folders = into / "fake", into / "real"
    for folder, split in zip(folders, ("test", "train"), strict=True):
        folder.mkdir()
        images = open_images(f"mnist:{split}")
        for i in range(n):
            Image.fromarray(images[i].pixels[0].numpy()).save(folder / f"{i:05}.png")
    return folders


def cpu_seconds(run: Callable[[], object]) -> float:
    began = time.process_time()
    run()
    return time.process_time() - began


def digest_pixels(images: list[torch.Tensor]) -> None:
    """As extraction does for the order of the images and for duplicates."""
    for pixels in images:
        hashlib.sha256(str(tuple(pixels.shape)).encode() + pixels.numpy().tobytes()).digest()


@click.command()
@click.argument("images", type=click.Choice(list(SOURCES)))
@click.option("--n", default=400, show_default=True, help="Images of each set.")
@click.option("--repeats", default=5, show_default=True, help="Of everything but the first score; medians are given.")
def main(images: str, n: int, repeats: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        os.environ["GANEVAL_CACHE"] = str(Path(place) / "cache")
        fake, real = (write_mnist if images == "mnist" else partial(write_folders, images))(n, Path(place))
        options: dict[str, Any] = {"extractor": "classifier:mnist", "metrics": ["fid"]}
        if images != "mnist":
            weights = save_seeded_inception(Path(place) / "seeded-inception.pth")
            options |= {"extractor": "inception", "weights": weights}
        time.sleep(2 * SETTLED / 1e9)
        noise = np.random.RandomState(0).randint(256, size=(2, 4, 28, 28, 3), dtype=np.uint8)
        score(*noise, cache=False, **options)  # imports
        first = cpu_seconds(lambda: score(fake, real, **options))
        pixels = [image.pixels for folder in (fake, real) for image in open_images(folder)]
        unread = [open_images(folder, cache=False) for _ in range(repeats) for folder in (fake, real)]
        parts: dict[str, Callable[[], object]] = {
            "digests of the files": lambda: [unread.pop().content_key() for _ in (fake, real)],
            "digests of the pixels": lambda: digest_pixels(pixels),
        }
        if images != "mnist":
            parts["digest of the weights' file"] = lambda: sha256_file(weights)
        runs = {
            "scored again": lambda: score(fake, real, **options),
            "scored again, `--paranoid`": lambda: score(fake, real, paranoid=True, **options),
        }
        spent = {
            name: median(cpu_seconds(run) for _ in range(repeats)) for name, run in {**parts, **runs}.items()
        }  # fmt: skip
    click.echo(f"{n:,} and {n:,} {SOURCES[images]}, FID by {options['extractor']}, {cpu_name()}, "
               f"{torch.get_num_threads()} thread(s), torch {torch.__version__}\n")  # fmt: skip
    click.echo("| | CPU s | share of the first score |\n|---|---:|---:|")
    spent = {"first score": first, **{name: spent[name] for name in parts},
             "all digests": sum(spent[name] for name in parts), **{name: spent[name] for name in runs}}  # fmt: skip
    for name, seconds in spent.items():
        click.echo(f"| {name} | {seconds:.3f} | {seconds / first:.1%} |")


if __name__ == "__main__":
    main()
