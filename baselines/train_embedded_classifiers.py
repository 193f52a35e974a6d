"""Trains the classifiers that ganeval embeds, on the train splits alone, and prints their test accuracy.

python baselines/train_embedded_classifiers.py digits
python baselines/train_embedded_classifiers.py mnist --data-root FOLDER      (about 6 minutes on one core)
"""

from __future__ import annotations

from pathlib import Path

import click
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, pad

from ganeval.extractors.classifier import WEIGHTS, Classifier
from ganeval.files import atomic_write
from ganeval.images import open_images

EPOCHS = {"digits": 60, "mnist": 6}
SHIFT = {"digits": 1, "mnist": 2}
BATCH = 64


def tensors(network: Classifier, source: str, data_root: Path | None) -> tuple[Tensor, Tensor]:
    images = open_images(source, data_root=data_root)
    assert images.labels is not None
    return network.resize(torch.stack([images[i].pixels for i in range(len(images))])), images.labels


def shifted(x: Tensor, reach: int) -> Tensor:
    """The batch moved by up to `reach` pixels, the whole batch alike, with empty margins."""
    across, down = torch.randint(2 * reach + 1, (2,)).tolist()
    size = x.shape[-1]
    return pad(x, [reach] * 4)[..., down : down + size, across : across + size]


@click.command()
@click.argument("name", type=click.Choice(sorted(EPOCHS)))
@click.option("--data-root", type=click.Path(path_type=Path))
def main(name: str, data_root: Path | None) -> None:
    """Trains the classifier NAME and writes its weights into the package."""
    torch.manual_seed(0)
    network = Classifier(name)
    x, y = tensors(network, f"{name}:train", data_root)
    steps = EPOCHS[name] * len(x) // BATCH
    optimiser = torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 5e-3, total_steps=steps)
    for step in range(steps):
        rows = torch.randint(len(x), (BATCH,))
        _, logits = network(shifted(x[rows], SHIFT[name]))
        loss = cross_entropy(logits, y[rows], label_smoothing=0.05)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 500 == 0:
            click.echo(f"step {step} of {steps}: loss {loss.item():.3f}")
    network.eval()
    x, y = tensors(network, f"{name}:test", data_root)
    with torch.no_grad():
        right = torch.cat([network(part)[1].argmax(1) for part in x.split(500)]) == y
    with atomic_write(WEIGHTS / f"{name}.pt") as file:
        torch.save(network.state_dict(), file)
    click.echo(f"{name}: test accuracy {right.float().mean().item():.4f} ({len(x)} images)")


if __name__ == "__main__":
    main()
