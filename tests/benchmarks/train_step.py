"""Times a DCGAN step of the harness beside the plainest hand-written loop over the same networks, in turn.

python -m tests.benchmarks.train_step --steps 30 --repeats 5
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable

import click
import torch
from ganeval_baselines.data import Images
from ganeval_baselines.plan import plan
from ganeval_baselines.train import build, one_step
from torch import Tensor
from torch.nn.functional import softplus

from ganeval.images import open_images

SIDE, BATCH = 28, 64


def drawn_images(n: int = 2000) -> Images:
    """Grey noise of MNIST's shape: a step takes as long on it as on digits."""
    random = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (n, 1, SIDE, SIDE), generator=random, dtype=torch.uint8)
    return Images("noise", pixels, None, (), "0" * 64, open_images("digits:test"))


def hand_written(generator: torch.nn.Module, discriminator: torch.nn.Module, pixels: Tensor) -> Callable[[], None]:
    """One step of DCGAN as a tutorial would write it."""
    settings = {"lr": 2e-4, "betas": (0.5, 0.999), "fused": True}
    d_optimiser = torch.optim.Adam(discriminator.parameters(), **settings)
    g_optimiser = torch.optim.Adam(generator.parameters(), **settings)

    def step() -> None:
        real = pixels[torch.randint(len(pixels), (BATCH,))].float() / 127.5 - 1
        with torch.no_grad():
            fake = generator(torch.randn(BATCH, 100))
        loss = softplus(-discriminator(real)).mean() + softplus(discriminator(fake)).mean()
        d_optimiser.zero_grad()
        loss.backward()
        d_optimiser.step()
        loss = softplus(-discriminator(generator(torch.randn(BATCH, 100)))).mean()
        g_optimiser.zero_grad()
        loss.backward()
        g_optimiser.step()

    return step


@click.command()
@click.option("--steps", default=30)
@click.option("--repeats", default=5)
def main(steps: int, repeats: int) -> None:
    """Prints the median milliseconds of a step and their ratio, CPU and wall."""
    data = drawn_images()
    run = plan("dcgan", data, 0, 10**9)
    device = torch.device("cpu")
    state = build(run, device)
    plain = hand_written(copy.deepcopy(state.model.generator), copy.deepcopy(state.model.discriminator), data.pixels)
    sums: dict = {}

    def ours() -> None:
        one_step(state, run, sums, device)
        state.step += 1

    seconds: dict[str, list[tuple[float, float]]] = {"harness": [], "by hand": []}
    for _ in range(repeats + 1):
        for name, function in (("harness", ours), ("by hand", plain)):
            cpu, wall = time.process_time(), time.perf_counter()
            for _ in range(steps):
                function()
            seconds[name].append((time.process_time() - cpu, time.perf_counter() - wall))
    # The first of each warms up.
    medians = {
        k: [1000 * statistics.median(column) / steps for column in zip(*v[1:], strict=True)] for k, v in seconds.items()
    }
    for name, (cpu, wall) in medians.items():
        click.echo(f"{name}: {cpu:.1f} ms of CPU, {wall:.1f} ms a step")
    ratios = [a / b for a, b in zip(medians["harness"], medians["by hand"], strict=True)]
    click.echo(f"ratio: {ratios[0]:.3f} of CPU, {ratios[1]:.3f} of wall time")


if __name__ == "__main__":
    main()
