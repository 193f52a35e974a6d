"""How often memorisation_test is right: false alarms, power on planted copies, and generators that are merely bad.

python -m tests.benchmarks.calibrate_memorisation run digits --draws 400
python -m tests.benchmarks.calibrate_memorisation run mnist --draws 400      (GANEVAL_DATA holds torchvision's files)
python -m tests.benchmarks.calibrate_memorisation run cifar10 --draws 400    (GANEVAL_DATA holds zips of both splits)
python -m tests.benchmarks.calibrate_memorisation run cifar10 --mirror --kind '5% flipped'    (as score --mirror)
python -m tests.benchmarks.calibrate_memorisation table
python -m tests.benchmarks.calibrate_memorisation scores                     (what the scores of quality say of copies)

The training set is up to TRAIN images of the train split; fakes and held-out images come from the test split, which
no extractor here was trained on. Images are changed before the features are extracted, once a kind. Draws are kept
one by one in a JSON-lines file, so a run that was stopped goes on where it was.
"""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import click
import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from ganeval import demo
from ganeval.features import extract
from ganeval.images import open_images
from ganeval.memorisation import MemorisationReport, memorisation_test
from ganeval.scoring import Settings, score_each
from ganeval.types import Features
from tests.benchmarks.draws import keep, read, undone

RECORDS = Path(__file__).parent / "calibrate_memorisation.jsonl"
TRAIN = 5000
N_FAKE, N_REAL = {"digits": 250, "mnist": 250, "cifar10": 250}, {"digits": 300, "mnist": 500, "cifar10": 500}
SPLITS = {
    "digits": ("digits:train", "digits:test"),
    "mnist": ("mnist:train", "mnist:test"),
    "cifar10": ("cifar10-jpeg-train.zip", "cifar10-jpeg-test.zip"),
}
EXTRACTORS = {"digits": "classifier:digits", "mnist": "classifier:mnist", "cifar10": "pixels:16"}
SHARES = ("1%", "5%", "20%")


def _jpeg(images: Tensor, quality: int) -> Tensor:
    """uint8 (N, 3, H, W), saved as JPEG and read again."""
    read = []
    for image in images:
        file = io.BytesIO()
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=quality)
        read.append(torch.from_numpy(np.array(Image.open(file).convert("RGB"))).permute(2, 0, 1))
    return torch.stack(read)


def _noise(images: Tensor, level: float) -> Tensor:
    return _bytes(images / 255 + level * torch.randn(images.shape, generator=torch.Generator().manual_seed(0)))


def _blur(images: Tensor, sigma: float) -> Tensor:
    return _bytes(gaussian_blur(images / 255, [5, 5], [sigma, sigma]))


def _bytes(images: Tensor) -> Tensor:
    return (images.clamp(0, 1) * 255).round().byte()


COPIED: dict[str, Callable[[Tensor], Tensor]] = {
    "exact": lambda x: x,
    "JPEG 90": lambda x: _jpeg(x, 90),
    "JPEG 75": lambda x: _jpeg(x, 75),
    "flipped": lambda x: x.flip(3),
    "shifted 1 pixel": lambda x: torch.roll(x, 1, 3),
}
BAD: dict[str, Callable[[Tensor], Tensor]] = {
    "noise 0.05": lambda x: _noise(x, 0.05),
    "noise 0.15": lambda x: _noise(x, 0.15),
    "blur 0.6": lambda x: _blur(x, 0.6),
    "blur 1.0": lambda x: _blur(x, 1.0),
    "contrast x 0.8": lambda x: _bytes(x.float().mean((1, 2, 3), keepdim=True) / 255 * 0.2 + 0.8 * x / 255),
    "pure noise": lambda x: torch.rand(x.shape, generator=torch.Generator().manual_seed(0)).mul(255).byte(),
}
COLLAPSED = ("support 50", "no 3", "only 3")
ONLY_DIGITS, TOO_FEW_DIGITS = "GAN", "only 3"
KINDS = ("real", *(f"{share} {how}" for how in COPIED for share in SHARES), *BAD, *COLLAPSED, "two averaged", "GAN")


@cache
def pixels(name: str, split: int) -> tuple[Tensor, Tensor]:
    """uint8 (N, 3, H, W) and labels (N,): up to TRAIN of the train split (0), or all of the test split (1)."""
    archive = Path(os.environ.get("GANEVAL_DATA", "")) / SPLITS[name][split]
    source = open_images(archive if archive.is_file() else SPLITS[name][split])
    rows = np.random.default_rng(0).permutation(len(source))[: TRAIN if split == 0 else None]
    assert source.labels is not None
    return torch.stack([source[int(i)].pixels for i in rows]), source.labels[rows]


@cache
def features(name: str, extractor: str, kind: str) -> Features:
    """Of the training set ("train", or the way in which it is copied), or of what the fakes are drawn from."""
    images, _ = pixels(name, 0 if kind == "train" or kind in COPIED or kind in ("two averaged", "GAN") else 1)
    if kind in COPIED or kind in BAD:
        images = {**COPIED, **BAD}[kind](images)
    elif kind == "two averaged":
        images = _bytes((images / 255 + images.flip(0) / 255) / 2)
    elif kind == "GAN":
        images = _gan(images, pixels(name, 0)[1])
    return extract(images, extractor, cache=False)


def _gan(images: Tensor, labels: Tensor) -> Tensor:
    """2000 images of the demo's small GAN, trained on digits."""
    net = demo.train(images[:, 0], labels, 0, False)
    random = torch.Generator().manual_seed(0)
    made = demo.generate(net, torch.randn(2000, demo.LATENT_DIM, generator=random), torch.arange(2000) % 10)
    return made[:, None].expand(-1, 3, -1, -1).contiguous()


def plant(name: str, extractor: str, kind: str, order: np.ndarray, n: int, random: np.random.Generator) -> Features:
    """n fakes of a kind; the honest ones among them are the test split's rows in `order`."""
    share, _, how = kind.partition(" ")
    if how in COPIED:
        count = round(n * int(share.rstrip("%")) / 100)
        copies = features(name, extractor, how).pooled
        honest = features(name, extractor, "test")
        rows = [honest.pooled[order[count:n]], copies[random.choice(len(copies), count, replace=False)]]
        return Features(torch.cat(rows), None, honest.fingerprint)
    if kind in ("two averaged", "GAN"):
        made = features(name, extractor, kind)
        return made[torch.from_numpy(random.choice(len(made), n, replace=False))]
    threes = pixels(name, 1)[1].numpy()[order] == 3
    if kind == "support 50":
        order = random.choice(order[:50], n)
    elif kind in ("no 3", "only 3"):
        order = order[threes == (kind == "only 3")]
    return features(name, extractor, kind if kind in BAD else "test")[torch.from_numpy(order[:n])]


def draw(
    name: str, extractor: str, kind: str, seed: int, n: int, m: int, mirror: bool = False
) -> MemorisationReport:  # fmt: skip
    """One split of the test images into held-out ones and those that honest fakes are, and its report."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(features(name, extractor, "test")))
    fakes = plant(name, extractor, kind, order[m:], n, random)
    held_out = features(name, extractor, "test")[torch.from_numpy(order[:m])]
    mirrored = features(name, extractor, "flipped") if mirror else None
    return memorisation_test(fakes, held_out, features(name, extractor, "train"), mirrored=mirrored, seed=seed)


@click.group()
def main() -> None:
    """Error rates of memorisation_test."""


@main.command()
@click.argument("name", type=click.Choice(sorted(SPLITS)))
@click.option("--extractor", help="default: the data set's own")
@click.option("--kind", "kinds", multiple=True, help="default: all")
@click.option("--draws", default=400, help="of real against real; a tenth of it of each other kind")
@click.option("--n", type=int)
@click.option("--m", type=int)
@click.option("--mirror", is_flag=True)
@click.option("--records", type=click.Path(path_type=Path), default=RECORDS)
def run(
    name: str, extractor: str | None, kinds: tuple[str, ...], draws: int, n: int | None, m: int | None, mirror: bool,
    records: Path,
) -> None:  # fmt: skip
    """Adds draws to the records, up to so many of each kind."""
    extractor, n, m = extractor or EXTRACTORS[name], n or N_FAKE[name], m or N_REAL[name]
    for kind in kinds or [kind for kind in KINDS if kind != (TOO_FEW_DIGITS if name == "digits" else ONLY_DIGITS)]:
        case = {"data": name, "extractor": extractor, "n": n, "m": m, "mirror": mirror, "kind": kind}
        for seed in undone(records, case, draws if kind == "real" else draws // 10):
            report = draw(name, extractor, kind, seed, n, m, mirror)
            found = {"verdict": report.verdict, "p": report.p_value, "share": report.copies.share}
            found |= {"interval": report.copies.interval, "authenticity": report.authenticity.value}
            keep(records, {**case, "seed": seed, **found, "ct": report.ct and report.ct.value})


@main.command()
@click.option("--records", type=click.Path(path_type=Path), default=RECORDS)
def table(records: Path) -> None:
    """Prints the records as a Markdown table."""
    cases: dict[tuple, list[dict]] = {}
    for line in read(records):
        features = line["extractor"] + ", mirror" * line["mirror"]
        cases.setdefault((line["data"], features, line["n"], line["m"], line["kind"]), []).append(line)
    head = ("data", "features", "fake / held out", "fakes are", "draws", "copying", "suspected", "none", "p <= 0.05",
            "share of copies", "authenticity", "C_T")  # fmt: skip
    click.echo(f"| {' | '.join(head)} |\n|---|---|---|---|{'---:|' * (len(head) - 4)}")
    for (name, extractor, n, m, kind), lines in cases.items():
        verdicts = Counter(line["verdict"] for line in lines)
        shares = [verdicts[v] for v in ("copying", "suspected", "none")] + [sum(line["p"] <= 0.05 for line in lines)]
        share, authentic, c_t = (
            np.mean([line[key] for line in lines if line[key] is not None]) for key in ("share", "authenticity", "ct")
        )
        cells = [name, extractor, f"{n} / {m}", kind, len(lines), *(f"{x / len(lines):.1%}" for x in shares),
                 f"{share:.1%}", f"{authentic:.2f}", f"{c_t:.1f}"]  # fmt: skip
        click.echo(f"| {' | '.join(map(str, cells))} |")


SCORES = ("inception_score", "mode_score", "fid", "fid_debiased", "kid", "precision", "recall", "coverage",
          "one_nn_accuracy", "mifid", "authenticity", "ct")  # fmt: skip


@main.command()
@click.argument("name", type=click.Choice(sorted(SPLITS)), default="mnist")
@click.option("--n", default=2000)
def scores(name: str, n: int) -> None:
    """Prints the metrics of honest fakes, of the training images copied, and of copies saved as JPEG."""
    (train, _), (test, _) = pixels(name, 0), pixels(name, 1)
    n = min(n, len(test) // 2, len(train))
    held_out, sets = (
        test[n : 2 * n],
        {"honest": test[:n], "copied": train[:n], "copied as JPEG 75": _jpeg(train[:n], 75)},
    )
    settings = Settings(extractor=EXTRACTORS[name], metrics=SCORES, cache=False)
    reports = dict(zip(sets, score_each(list(sets.values()), held_out, settings, train), strict=True))
    click.echo(f"| | {' | '.join(sets)} |\n|---|{'---:|' * len(sets)}")
    for metric in SCORES:
        click.echo(f"| `{metric}` | {' | '.join(f'{report[metric].value:.3g}' for report in reports.values())} |")
    verdicts = [report.memorisation.verdict if report.memorisation else "-" for report in reports.values()]
    click.echo(f"| verdict | {' | '.join(verdicts)} |")


if __name__ == "__main__":
    main()
