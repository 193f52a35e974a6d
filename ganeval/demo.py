"""The main job on embedded data: three sets of fake digits, one honest, one collapsed, one copied, and their scores.

The honest set comes from a conditional GAN with the non-saturating loss (Goodfellow et al., 2014) and a zero-centred
gradient penalty on the real images (Mescheder et al., 2018, arXiv:1801.04406), trained here on digits:train.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import one_hot, softplus
from tqdm import tqdm

from ganeval.columns import fact, table
from ganeval.errors import GanevalError
from ganeval.files import check_place
from ganeval.images import open_images
from ganeval.report import ScoreReport
from ganeval.report.tables import number
from ganeval.scoring import score_each
from ganeval.settings import Settings

N = 600
LATENT_DIM = 16
STEPS = 3000
BATCH = 128
PENALTY_WEIGHT = 0.1
KEPT_DIGITS = range(6)
LATENTS_PER_DIGIT = 10
SETS = ("honest", "collapsed", "copied")
MARK = ".ganeval-demo"
"""A file that says whose the folder is."""


def demo(folder: Path, *, seed: int = 0, progress: bool = False) -> str:
    """Writes the three sets as PNG class folders under `folder`, scores them against digits:test, returns the text.

    Raises GanevalError where `folder` holds anything else, so that no user's file is touched.
    """
    if folder.exists() and (not folder.is_dir() or {entry.name for entry in folder.iterdir()} - {*SETS, MARK}
                            or (any(folder.iterdir()) and not (folder / MARK).exists())):  # fmt: skip
        raise GanevalError(f"{folder} exists and is not an earlier demo's; choose another folder with -o")
    check_place(folder / MARK)
    (folder / MARK).touch()
    began = time.perf_counter()
    pixels, labels = _digits("digits:train")
    generator = train(pixels, labels, seed, progress)
    random = torch.Generator().manual_seed(seed)
    classes = torch.arange(N) % 10
    latents = torch.randn(N, LATENT_DIM, generator=random)
    # The collapse: four digits never appear, and the other six come from ten latent vectors each.
    few_classes = torch.arange(N) % len(KEPT_DIGITS)
    few = torch.randn(len(KEPT_DIGITS) * LATENTS_PER_DIGIT, LATENT_DIM, generator=random)
    few_latents = few[few_classes * LATENTS_PER_DIGIT + torch.randint(LATENTS_PER_DIGIT, (N,), generator=random)]
    few_latents = few_latents + 0.02 * torch.randn(few_latents.shape, generator=random)
    chosen = torch.randperm(len(pixels), generator=random)[:N]
    _save(folder / "honest", generate(generator, latents, classes), classes)
    _save(folder / "collapsed", generate(generator, few_latents, few_classes), few_classes)
    _save(folder / "copied", pixels[chosen], labels[chosen])
    settings = Settings(seed=seed, progress=progress)
    reports = score_each([str(folder / name) for name in SETS], "digits:test", settings, "digits:train")
    return _page(folder, reports, time.perf_counter() - began)


def _digits(name: str) -> tuple[Tensor, Tensor]:
    """uint8 grey (N, 8, 8) and int64 (N,)."""
    images = open_images(name)
    assert images.labels is not None
    return torch.stack([images[i].pixels[0] for i in range(len(images))]), images.labels


def _mlp(n_in: int, n_out: int, hidden: int = 256) -> list[nn.Module]:
    return [
        nn.Linear(n_in, hidden), nn.LeakyReLU(0.2),
        nn.Linear(hidden, hidden), nn.LeakyReLU(0.2),
        nn.Linear(hidden, n_out),
    ]  # fmt: skip


def train(pixels: Tensor, labels: Tensor, seed: int, progress: bool) -> nn.Module:
    """A generator (LATENT_DIM + 10) -> 64 in [-1, 1], trained on uint8 digits (N, 8, 8) and labels (N,)."""
    with torch.random.fork_rng(devices=[]), _one_thread():
        torch.manual_seed(seed)
        real, classes = pixels.flatten(1) / 127.5 - 1, one_hot(labels, 10).float()
        generator = nn.Sequential(*_mlp(LATENT_DIM + 10, 64), nn.Tanh())
        critic = nn.Sequential(*_mlp(64 + 10, 1))
        players = [torch.optim.Adam(net.parameters(), 1e-3, betas=(0.5, 0.9)) for net in (generator, critic)]
        decay = [torch.optim.lr_scheduler.LinearLR(player, 1.0, 0.0, STEPS) for player in players]
        for _ in tqdm(range(STEPS), desc="training a small GAN", disable=not progress, leave=False):
            rows = torch.randint(len(real), (BATCH,))
            c, x = classes[rows], real[rows]
            # The grey levels are discrete; noise of one level's width keeps the critic from keying on that.
            x = (x + (torch.rand_like(x) - 0.5) / 8).requires_grad_()
            fake = generator(torch.cat([torch.randn(BATCH, LATENT_DIM), c], 1))
            on_real = critic(torch.cat([x, c], 1))
            (slope,) = torch.autograd.grad(on_real.sum(), x, create_graph=True)
            penalty = PENALTY_WEIGHT * slope.square().sum(1).mean()
            on_fake = critic(torch.cat([fake.detach(), c], 1))
            _step(players[1], softplus(-on_real).mean() + softplus(on_fake).mean() + penalty)
            _step(players[0], softplus(-critic(torch.cat([fake, c], 1))).mean())
            for schedule in decay:
                schedule.step()
    return generator


@contextmanager
def _one_thread() -> Iterator[None]:
    """Matrices this small lose more to threads waiting for each other than they gain, tenfold on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _step(player: torch.optim.Optimizer, loss: Tensor) -> None:
    player.zero_grad()
    loss.backward()
    player.step()


@torch.no_grad()
def generate(generator: nn.Module, latents: Tensor, labels: Tensor) -> Tensor:
    """uint8 digits (N, 8, 8), in the data's 17 grey levels."""
    images = generator(torch.cat([latents, one_hot(labels, 10).float()], 1))
    levels = ((images + 1) * 8).round().clamp(0, 16)
    return (levels * 255 / 16).round().to(torch.uint8).view(-1, 8, 8)


def _save(folder: Path, images: Tensor, labels: Tensor) -> None:
    for old in folder.glob("*/*.png"):
        old.unlink()
    for digit in labels.unique().tolist():
        (folder / str(digit)).mkdir(parents=True, exist_ok=True)
    for i, (image, label) in enumerate(zip(images.numpy(), labels.tolist(), strict=True)):
        Image.fromarray(image).save(folder / str(label) / f"{i:04d}.png")


def _page(folder: Path, reports: list[ScoreReport], seconds: float) -> str:
    header = ("samples", "FD, debiased", "precision", "recall", "coverage", "1-NN acc.", "copies")
    body = []
    for name, report in zip(SETS, reports, strict=True):
        distance = report["fid_debiased"]
        error = f" +- {number(distance.std_error, distance.std_error)}" if distance.std_error else ""
        shares = [f"{report[key].value:.2f}" for key in ("precision", "recall", "coverage", "one_nn_accuracy")]
        copies = f"{report.memorisation.copies.share:.0%}" if report.memorisation else "-"
        body.append((name, number(distance.value, distance.std_error) + error, *shares, copies))
    best = ("best is", "0", "1", "1", "1", "0.50", "0%")
    lines = table(header, [*body, best])
    verdicts = "; ".join(f"{name}: {_verdict(report)}" for name, report in zip(SETS, reports, strict=True))
    copying = "; ".join(
        f"{name}: {report.memorisation.verdict if report.memorisation else 'not judged'}"
        for name, report in zip(SETS, reports, strict=True)
    )
    return f"""\
Three sets of {N} generated digits, each against {reports[0]["fid"].n_real} real ones that nothing was
trained on (digits:test), in {reports[0].extractor.dim} features of the embedded digit classifier:

{chr(10).join(lines)}

honest     a small GAN, trained just now: near the real digits, and as varied.
collapsed  the same GAN stuck on 6 digits, 10 styles each. What it makes looks
           real (precision), but most of what is real is missing (recall,
           coverage).
copied     its training images. Every score of quality is near perfect, for the
           wrong reason: only the last column, the share of them nearer to an
           image of digits:train than unseen digits are, gives it away.

{fact("verdicts", f"on mode collapse: {verdicts}")}
{fact("", f"on copying: {copying}")}

Made in {seconds:.0f} s. The samples are in {folder}. Score them yourself:

  ganeval score {folder / "honest"} --ref digits:test
  ganeval score {folder / "collapsed"} --ref digits:test --by-class
  ganeval collapse {folder / "collapsed"} --ref digits:test
  ganeval score {folder / "copied"} --ref digits:test --train digits:train --html copied.html
"""


def _verdict(report: ScoreReport) -> str:
    if report.collapse is None:
        return "not judged"
    missing = ", ".join(sorted(mode.name for mode in report.collapse.missing))
    return report.collapse.verdict + (f" (missing: {missing})" if missing else "")
