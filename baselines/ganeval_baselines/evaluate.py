"""What a trained model's samples are worth: the numbers of its record, by ganeval's own metrics."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

import ganeval
from ganeval.collapse import MIN_FAKE, MIN_REAL, count_modes
from ganeval.errors import GanevalError
from ganeval.numerics.intervals import binomial
from ganeval.types import Features
from ganeval_baselines.base import GAN
from ganeval_baselines.data import Batch, Images, Mixture, rng, stream, to_uint8

VERSION = 2
"""Of all that is below, in every record: to be raised where a change, here or in a metric, could move a number.

Records of two versions never share a table; `ganeval bench --rescore` brings the older ones up.
"""

POINTS = 2500
"""Samples of a 2-D mixture, as VEEGAN and PacGAN draw."""

STACKED = 26_000
"""Samples of Stacked MNIST, 26 for each of the 1000 modes."""

SAMPLING_SEEDS = 3
"""Sample sets that are drawn from one final model; their spread is the evaluation's noise."""

HIGH_QUALITY = 3.0
"""A point within this many standard deviations of a mode is of high quality (Srivastava et al., 2017)."""

ALPHA = 0.05
"""False alarms of the collapse verdict: of the final one, and of all the looks during a training together."""

METRICS = (
    "fid", "fid_debiased", "kid", "inception_score", "mode_score", "precision", "recall", "density", "coverage",
    "one_nn_accuracy", "vendi",
)  # fmt: skip
POINT_METRICS = (f"emd:max_n={POINTS}", "precision", "recall", "density", "coverage", "one_nn_accuracy")
"""Without a Fréchet distance: the two moments of a ring and of a Gaussian are the same."""


OWN = {
    "modes": ("Modes", "higher"),
    "modes_plain": ("Modes, plain count", "higher"),
    "high_quality": ("High quality", "higher"),
    "mode_kl": ("KL of modes", "lower"),
    "label_accuracy": ("Label accuracy", "higher"),
    "mutual_information": ("Mutual information", "higher"),
    "test_error": ("Test error, %", "lower"),
}
"""Titles and directions of the numbers that are not metrics of ganeval."""

Rows = dict[str, dict[str, Any]]
KEPT = ("value", "std_error", "interval", "better", "title", "options")
"""Of a report's line, in a record's row."""


@dataclass(frozen=True)
class Samples:
    """images: uint8 (N, C, H, W), or points float32 (N, 2). labels: what a conditional model was asked for."""

    content: Tensor
    labels: Tensor | None

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content.numpy().tobytes()).hexdigest()


class NotFiniteError(GanevalError):
    """A model whose weights are finite made samples that are not."""


@torch.no_grad()
def draw(model: GAN, data: Mixture | Images, n: int, *seed: int, batch: int = 500) -> Samples:
    """n samples of a model in evaluation mode (batch normalisation by its running averages).

    A conditional model is asked for labels drawn as often as the training set has them.
    """
    was = model.training
    model.eval()
    state = torch.random.get_rng_state()
    torch.manual_seed(stream(*seed))
    labels = None
    if model.conditional and isinstance(data, Images):
        labels = data.draw_labels(n, rng(*seed))
    parts = []
    for first in range(0, n, batch):
        asked = None if labels is None else labels[first : first + batch].to(model.device)
        parts.append(model.sample(min(batch, n - first), asked).cpu())
    torch.random.set_rng_state(state)
    model.train(was)
    content = torch.cat(parts)
    if not bool(content.isfinite().all()):
        raise NotFiniteError(f"{int((~content.isfinite()).flatten(1).any(1).sum())} of {n} samples are not finite")
    return Samples(content if isinstance(data, Mixture) else to_uint8(content), labels)


@dataclass(frozen=True)
class Reference:
    """The reference features of a data set, and how and where samples become features: made once for all its runs."""

    data: Mixture | Images
    extractor: str
    real: Features
    device: str = "cpu"

    def features(self, samples: Samples) -> Features:
        if isinstance(self.data, Mixture):
            return points_as_features(samples.content, self.data)
        return ganeval.extract(_rgb(samples.content), self.extractor, device=self.device, cache=False)

    @property
    def stacked(self) -> bool:
        """Stacked MNIST, of which nothing is scored but its modes."""
        return isinstance(self.data, Images) and self.data.stacked > 1

    @property
    def sample_size(self) -> int:
        """Samples are as many as there are real images, but for Stacked MNIST's 1000 modes."""
        return STACKED if self.stacked else len(self.real)

    @property
    def ranks_by(self) -> str:
        """`primary`, as a metric that is asked for with its options."""
        return next((asked for asked in POINT_METRICS if asked.partition(":")[0] == self.primary), self.primary)

    @property
    def primary(self) -> str:
        """The metric that ranks, lower is better: in the plane the Wasserstein distance, of images the Fréchet one."""
        if isinstance(self.data, Mixture):
            return "emd"
        return "mode_kl" if self.stacked else "fid"


def reference_of(data: Mixture | Images, extractor: str = "auto", device: str = "cpu") -> Reference:
    """The reference of a data set: a mixture's points themselves, else the extractor's features of the held-out images.

    device: where features and metrics are computed, of the samples too.
    Raises UnobtainableError where the extractor's weights can't be had.
    """
    if isinstance(data, Mixture):
        points = data.draw(POINTS, rng(0, 2**32))
        return Reference(data, "points", points_as_features(points, data), device)
    name = (data.held_out.extractor or "inception") if extractor == "auto" else extractor
    return Reference(data, name, ganeval.extract(data.reference(), name, device=device), device)


def points_as_features(points: Tensor, mixture: Mixture) -> Features:
    """Points (N, 2) as features; the logits are the mixture's own log-densities, one class a mode."""
    logits = -torch.cdist(points, mixture.centres).square() / (2 * mixture.spread**2)
    names = tuple(str(k) for k in range(len(mixture.centres)))
    return Features(points, logits, f"points/{mixture.name}/v1", class_names=names)


def _rgb(images: Tensor) -> Tensor:
    return images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images


def rows_of(
    samples: Samples,
    reference: Reference,
    seed: int,
    metrics: tuple[str, ...] | None = None,
    fake: Features | None = None,
) -> Rows:
    """The rows of one sample set, {metric: what is KEPT of it}; fake: its features, if known."""
    data = reference.data
    if isinstance(data, Images) and data.stacked > 1:
        return stacked_modes(samples.content, data, reference.device)
    fake = reference.features(samples) if fake is None else fake
    names = metrics or (POINT_METRICS if isinstance(data, Mixture) else METRICS)
    if fake.logits is None or reference.real.logits is None:
        names = tuple(name for name in names if name not in ("inception_score", "mode_score"))
    report = ganeval.score(fake, reference.real, metrics=names, seed=seed, device=reference.device)
    rows = {name: {key: line[key] for key in KEPT} for name, line in report.to_dict()["metrics"].items()}
    if isinstance(data, Mixture):
        rows |= mixture_modes(samples.content, data)
    elif samples.labels is not None and fake.logits is not None and reference.extractor == data.held_out.extractor:
        # Another network's classes are not those that were asked for, whatever their numbers.
        rows |= {"label_accuracy": share("label_accuracy", fake.logits.argmax(1) == samples.labels)}
    return rows


def share(name: str, hits: Tensor) -> dict[str, Any]:
    """A proportion with its binomial standard error."""
    p = float(hits.float().mean())
    return own(name, p, binomial(p, len(hits))[0])


@runtime_checkable
class Classifies(Protocol):
    """A model that tells classes: a classifier, or a GAN whose discriminator is one."""

    def errors(self, images: Tensor, labels: Tensor) -> float: ...


def test_error(model: Any, test: Batch) -> Rows:
    """The test error of what `Classifies`, in percent, with its binomial standard error."""
    assert test.labels is not None
    p = model.errors(test.real, test.labels)
    return {"test_error": own("test_error", 100 * p, 100 * binomial(p, len(test.real))[0])}


def own(name: str, value: float, std_error: float | None = None) -> dict[str, Any]:
    """The row of a number that is not a metric of ganeval."""
    # A model of another package may measure what has no title here.
    title, better = OWN.get(name, (name.replace("_", " ").capitalize(), "higher"))
    return {
        "value": value, "std_error": std_error, "interval": None, "better": better, "title": title, "options": {},
    }  # fmt: skip


def mixture_modes(points: Tensor, mixture: Mixture) -> Rows:
    """Modes with a point of high quality, the share of such points, and the KL of their modes to uniform, in nats."""
    apart, nearest = torch.cdist(points, mixture.centres).min(1)
    good = apart < HIGH_QUALITY * mixture.spread
    rows = {"modes": own("modes", 0.0), "high_quality": share("high_quality", good)}
    if bool(good.any()):
        count = count_modes(nearest[good].numpy(), len(mixture.centres))
        rows |= {"modes": own("modes", float(count.plain)), "mode_kl": own("mode_kl", count.kl)}
    return rows


def stacked_modes(images: Tensor, data: Images, device: str = "cpu") -> Rows:
    """The modes of Stacked MNIST that the samples reach, and the KL of their shares to uniform, in nats.

    `modes_plain` counts a mode from its first image on, as papers do, and with it the classifier's slips; `modes` asks
    for a tenth of a fair share (`ganeval.collapse.count_modes`).
    """
    classes = len(data.class_names)
    modes = torch.zeros(len(images), dtype=torch.int64)
    for channel in images.split(1, 1):
        judge = data.held_out.extractor or "classifier:mnist"
        logits = ganeval.extract(_rgb(channel), judge, device=device, cache=False).logits
        assert logits is not None
        modes = modes * classes + logits.argmax(1)
    count = count_modes(modes.numpy(), data.classes)
    found = {"modes": count.reached, "modes_plain": count.plain, "mode_kl": count.kl}
    return {name: own(name, float(value)) for name, value in found.items()}


def collapse_of(
    samples: Samples, reference: Reference, seed: int, fake: Features | None = None, alpha: float = ALPHA
) -> dict[str, Any] | None:
    """The collapse verdict of a record, with the names of the missing modes; fake: the features, where known.

    None for Stacked MNIST, which counts its modes, and where the sets are too small for a verdict.
    """
    if reference.stacked or len(samples.content) < MIN_FAKE or len(reference.real) < MIN_REAL:
        return None
    fake = reference.features(samples) if fake is None else fake
    report = ganeval.collapse_test(fake, reference.real, alpha=alpha, seed=seed)
    return {
        "verdict": report.verdict, "kinds": list(report.kinds), "p_value": report.p_value,
        "missing": [mode.name for mode in report.missing], "reasons": list(report.reasons),
    }  # fmt: skip
