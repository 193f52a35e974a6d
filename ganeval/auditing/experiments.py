"""The experiments: real images split in two disjoint halves, and one defect at a time planted in the second half.

After Xu et al. (2018, arXiv:1806.07755): S_r and S_g are disjoint sets of n real images; S_g is spoilt step by step
and scored against S_r. A level says which rows of which bank make up the fake set and the reference, so that images
are extracted once for all levels and repeats. A bank is a set of images: `real` (the pool), `train`, `generated`,
or the pool's images altered in one way (`shift`, `noise:0.1`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

REAL, TRAIN, GENERATED = "real", "train", "generated"
OVERFIT = "overfit"
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
DROPPED = (0.0, 0.2, 0.4, 0.6, 0.8)
"""Of the clusters; one at least must stay to take the images from."""
STRENGTHS = {"noise": (0.02, 0.05, 0.1, 0.2), "blur": (0.01, 0.02, 0.04, 0.08), "jpeg": (25.0, 50.0, 75.0, 90.0)}
"""noise: sd over 255. blur: Gaussian's sigma over the image's side. jpeg: 100 less the quality."""
SMALLEST = 16

Rows = np.ndarray
Selection = tuple[tuple[str, Rows], ...]
"""Images, as parts of banks: (bank, its rows), one after the other."""


@dataclass(frozen=True)
class Draw:
    """One repeat. real (S_r), held (S_g) and spare are disjoint rows of the pool; real and held have n each.

    train: n training images, disjoint from real and held. generated: n rows of that bank.
    clusters, to_centre: for each row of the pool its cluster and its distance to the cluster's centre.
    """

    real: Rows
    held: Rows
    spare: Rows
    train: tuple[str, Rows]
    generated: Rows
    clusters: np.ndarray
    to_centre: np.ndarray
    seed: int

    @property
    def n(self) -> int:
        return len(self.real)

    @property
    def reference(self) -> Selection:
        return ((REAL, self.real),)

    def order_of_clusters(self) -> np.ndarray:
        """The clusters of S_g's images in random order: the first are spoilt first, so that levels are nested."""
        return np.random.RandomState(self.seed).permutation(np.unique(self.clusters[self.held]))


@dataclass(frozen=True)
class Level:
    """A fake set to score against `real` at one strength of the defect; 0 is S_g untouched. `line`: of the plot."""

    strength: float
    fake: Selection
    real: Selection
    line: str = "score"


@dataclass(frozen=True)
class Experiment:
    """A row of EXPERIMENTS. kind: a defect to be seen, harmless, overfitting, or the sample size needed.

    said: what is done, in sentences, as the page of an audit has it.
    """

    title: str
    kind: Literal["defect", "harmless", "overfitting", "size"]
    axis: str
    levels: Callable[[Draw], Iterator[Level]]
    said: str


def mixing(draw: Draw) -> Iterator[Level]:
    """Generated images for the first of S_g."""
    return _shares(draw, (GENERATED, draw.generated))


def collapsing(draw: Draw) -> Iterator[Level]:
    """For all images of the first clusters the one of them nearest to the centre."""
    order, fate = draw.order_of_clusters(), draw.clusters[draw.held]
    nearest = {c: min(draw.held[fate == c], key=lambda row: draw.to_centre[row]) for c in order}
    for share in SHARES:
        rows = draw.held.copy()
        for c in order[: round(share * len(order))]:
            rows[fate == c] = nearest[c]
        yield Level(share, ((REAL, rows),), draw.reference)


def dropping(draw: Draw) -> Iterator[Level]:
    """No images of the first clusters, and more of the others."""
    order = draw.order_of_clusters()
    for share in DROPPED:
        gone = order[: round(share * len(order))]
        stay = draw.held[~np.isin(draw.clusters[draw.held], gone)]
        others = draw.spare[np.isin(draw.clusters[draw.spare], np.setdiff1d(order, gone))]
        wanted = draw.n - len(stay)
        again = np.random.RandomState(draw.seed).choice(stay, max(0, wanted - len(others)))
        yield Level(share, ((REAL, np.concatenate([stay, others[:wanted], again])),), draw.reference)


def overfitting(draw: Draw) -> Iterator[Level]:
    """Training images for the first of S_g, on a line for each of the two references."""
    for level in _shares(draw, draw.train):
        yield Level(level.strength, level.fake, draw.reference, "validation")
        yield Level(level.strength, level.fake, (draw.train,), "train")


def sample_size(draw: Draw) -> Iterator[Level]:
    """The first n of S_g, real or half generated, at each of `sizes`."""
    for n in sizes(draw.n):
        real, half = ((REAL, draw.real[:n]),), n // 2
        yield Level(n, ((REAL, draw.held[:n]),), real, "real")
        yield Level(n, ((GENERATED, draw.generated[:half]), (REAL, draw.held[half:n])), real, "mixture")


def sizes(n: int) -> list[int]:
    """The powers of two from SMALLEST to under n, and n."""
    return [2**p for p in range(SMALLEST.bit_length() - 1, n.bit_length()) if 2**p < n] + [n]


def shifted(draw: Draw) -> Iterator[Level]:
    """Shifted images for the first of S_g."""
    return _shares(draw, ("shift", draw.held))


def rotated(draw: Draw) -> Iterator[Level]:
    """Turned images for the first of S_g."""
    return _shares(draw, ("rotation", draw.held))


def distorted(name: str) -> Callable[[Draw], Iterator[Level]]:
    """The levels of one distortion in STRENGTHS."""

    def levels(draw: Draw) -> Iterator[Level]:
        """S_g as it is, and then at each of the strengths."""
        yield Level(0.0, ((REAL, draw.held),), draw.reference)
        for strength in STRENGTHS[name]:
            yield Level(strength, ((f"{name}:{strength:g}", draw.held),), draw.reference)

    return levels


def _shares(draw: Draw, other: tuple[str, Rows]) -> Iterator[Level]:
    """The first share of S_g, one by one replaced by the first rows of another bank."""
    bank, rows = other
    for share in SHARES:
        k = round(share * draw.n)
        yield Level(share, ((bank, rows[:k]), (REAL, draw.held[k:])), draw.reference)


DISTORTED = "Every image of S_g is distorted, with growing strength."
EXPERIMENTS = {
    "mixing": Experiment(
        "generated images mixed in", "defect", "share of generated images", mixing,
        "A growing share of S_g is replaced by generated images.",
    ),
    "collapse": Experiment(
        "mode collapsing", "defect", "share of clusters collapsed", collapsing,
        "In a growing share of clusters, every image of S_g is replaced by the one of them nearest to the centre. "
        "Differs from a replacement by the centre itself: the mean of images is a blurred one, and blur is another "
        "defect.",
    ),
    "dropping": Experiment(
        "mode dropping", "defect", "share of clusters dropped", dropping,
        "A growing share of clusters vanishes from S_g; images of the other clusters take their places. They are real "
        "images outside S_r that are not in S_g; where these run out, S_g's own a second time.",
    ),
    OVERFIT: Experiment(
        "overfitting", "overfitting", "share of training images", overfitting,
        "A growing share of S_g is replaced by training images; scored against S_r (validation) and against these.",
    ),
    "noise": Experiment("noise", "defect", "noise, sd / 255", distorted("noise"), DISTORTED),
    "blur": Experiment("blur", "defect", "blur, sigma / side", distorted("blur"), DISTORTED),
    "jpeg": Experiment("JPEG", "defect", "100 - JPEG quality", distorted("jpeg"), DISTORTED),
    "shift": Experiment(
        "small shifts", "harmless", "share of shifted images", shifted,
        "A growing share of S_g is shifted by up to 1/16 of the side (at least a pixel).",
    ),
    "rotation": Experiment(
        "small rotations", "harmless", "share of rotated images", rotated,
        "A growing share of S_g is turned by up to 15 degrees.",
    ),
    "size": Experiment(
        "sample size", "size", "n", sample_size,
        "At n = 16, 32, 64, ..., n: real images against real ones, and a half-and-half mixture against the same.",
    ),
}  # fmt: skip
