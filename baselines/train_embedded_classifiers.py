"""Trains the classifiers that ganeval embeds, on the train splits alone, and prints their test accuracy.

python baselines/train_embedded_classifiers.py digits
python baselines/train_embedded_classifiers.py mnist --data-root FOLDER      (about 6 minutes on one core)
python baselines/train_embedded_classifiers.py cifar10 --data-root FOLDER    (about 5 minutes on one core)

Of CIFAR-10 the folder may hold cifar10-jpeg-train.zip and cifar10-jpeg-test.zip, the images re-encoded as JPEG, in
place of torchvision's files; the embedded weights are of these. Every epoch is kept in runs/, so that a training that
was stopped goes on where it was, and ends in the same weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, pad

from ganeval.extractors.classifier import WEIGHTS, Classifier
from ganeval.files import atomic_write
from ganeval.images import open_images

EPOCHS = {"digits": 60, "mnist": 6, "cifar10": 9}
SHIFT = {"digits": 1, "mnist": 2, "cifar10": 3}
BATCH = {"digits": 64, "mnist": 64, "cifar10": 128}


def tensors(network: Classifier, name: str, split: str, data_root: Path | None) -> tuple[Tensor, Tensor]:
    archive = (data_root or Path()) / f"{name}-jpeg-{split}.zip"
    images = open_images(archive if archive.is_file() else f"{name}:{split}", data_root=data_root)
    assert images.labels is not None
    return network.resize(torch.stack([images[i].pixels for i in range(len(images))])), images.labels


def augmented(x: Tensor, name: str) -> Tensor:
    """The batch moved by up to SHIFT pixels, all alike, with empty margins; half of CIFAR-10 are flipped."""
    reach = SHIFT[name]
    across, down = torch.randint(2 * reach + 1, (2,)).tolist()
    size = x.shape[-1]
    if name == "cifar10":
        x = torch.where(torch.rand(len(x), 1, 1, 1) < 0.5, x.flip(3), x)
    return pad(x, [reach] * 4)[..., down : down + size, across : across + size]


@click.command()
@click.argument("name", type=click.Choice(sorted(EPOCHS)))
@click.option("--data-root", type=click.Path(path_type=Path))
def main(name: str, data_root: Path | None) -> None:
    """Trains the classifier NAME and writes its weights into the package."""
    torch.manual_seed(0)
    network = Classifier(name).to(memory_format=torch.channels_last if name == "cifar10" else torch.contiguous_format)
    x, y = tensors(network, name, "train", data_root)
    train(network, name, x, y)
    network.eval()
    x, y = tensors(network, name, "test", data_root)
    with torch.no_grad():
        right = torch.cat([network(part)[1].argmax(1) for part in x.split(500)]) == y
    with atomic_write(WEIGHTS / f"{name}.pt") as file:
        torch.save({key: value.contiguous() for key, value in network.state_dict().items()}, file)
    click.echo(f"{name}: test accuracy {right.float().mean().item():.4f} ({len(x)} images)")


def train(network: Classifier, name: str, x: Tensor, y: Tensor) -> None:
    """From the last epoch that is kept in runs/ to the end."""
    steps = EPOCHS[name] * len(x) // BATCH[name]
    optimiser = torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 5e-3, total_steps=steps)
    parts: dict[str, Any] = {"network": network, "optimiser": optimiser, "schedule": schedule}
    kept, first = Path(f"runs/embedded-{name}.pt"), 0
    if kept.exists():
        state = torch.load(kept, weights_only=True)
        for part, value in parts.items():
            value.load_state_dict(state[part])
        torch.set_rng_state(state["random"])
        first = state["step"]
    for step in range(first, steps):
        rows = torch.randint(len(x), (BATCH[name],))
        # CIFAR-10's is the one that takes long; half precision halves it on processors that have it.
        with torch.autocast("cpu", torch.bfloat16, enabled=name == "cifar10"):
            _, logits = network(augmented(x[rows], name))
        loss = cross_entropy(logits.float(), y[rows], label_smoothing=0.05)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if (step + 1) % (steps // EPOCHS[name]) == 0:
            click.echo(f"step {step + 1} of {steps}: loss {loss.item():.3f}")
            state = {part: value.state_dict() for part, value in parts.items()}
            with atomic_write(kept) as file:
                torch.save({**state, "random": torch.get_rng_state(), "step": step + 1}, file)
    kept.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
