"""One registry of metrics, extractors, baselines and the commands that plugins bring.

The built-in entries are plain rows that name where the code lives, so that `ganeval list` and `--help`
read them without importing torch. Other packages add theirs with the same classes, from a module
that an entry point in the group "ganeval.plugins" names.
"""

from __future__ import annotations

import importlib
import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from numbers import Integral, Real
from typing import Any, Literal

from ganeval.errors import GanevalError, said, unknown

log = logging.getLogger(__name__)

Better = Literal["lower", "higher", "half", "zero"]
BEST: dict[Better, str] = {"lower": "low", "higher": "high", "half": "0.5", "zero": "0"}
"""Where a metric is best, in the word of the tables."""


def badness(value: Any, better: Better) -> Any:
    """A value, or an array of them, turned so that more is worse: its distance from 0.5 or 0 where these are best."""
    if better in ("lower", "higher"):
        return value if better == "lower" else -value
    return abs(value - 0.5 if better == "half" else value)


def resolve(target: str | Callable[..., Any]) -> Callable[..., Any]:
    """The object that "package.module:attribute" names; anything else is returned as it is."""
    if not isinstance(target, str):
        return target
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


@dataclass(frozen=True)
class Metric:
    """A metric's row: what it is called, where it lives, what it needs, which way is better.

    target: function (fake, real, *, options) -> Estimate, or (fake, *, options) without a reference; one that needs
    the training set takes it after the fakes: (fake, train, *, options) or (fake, train, real, *, options).
    on: the features it takes, "pooled" (N, D) or "logits" (N, C).
    moments: the reference may also be a types.Moments.
    train: "needed", or "instead": the training set takes the reference's place where one is given.
    home: the extractor family whose features the published numbers use; None where the metric has no home.
    title, title_elsewhere: what people read with the home extractor's verified weights, and with others.
    family: function (fake, real, {name: options}) -> {name: Estimate} that shares the work of several metrics.
    auto: runs when the user names no metric ("home": only on the home extractor's features).
    share: it lies from 0 to 1, and is drawn there.
    cost: roughly the CPU seconds at n = 10,000 of Inception's features (docs/performance.md).
    """

    name: str
    target: str | Callable[..., Any]
    title: str
    better: Better
    paper: str
    on: Literal["pooled", "logits"] = "pooled"
    reference: bool = True
    moments: bool = False
    train: Literal["no", "needed", "instead"] = "no"
    home: str | None = None
    title_elsewhere: str | None = None
    family: str | Callable[..., Any] | None = None
    auto: Literal[True, "home"] = True
    share: bool = False
    cost: float = 1.0

    @property
    def fn(self) -> Callable[..., Any]:
        return resolve(self.target)

    @property
    def built_in(self) -> bool:
        """Whether it is of `ganeval.metrics`, and not of a plugin."""
        return self.fn.__module__.startswith("ganeval.metrics.")

    def reads_reference(self, train: bool) -> bool:
        """Whether it takes the reference; train: a training set is given, which may take its place."""
        return self.reference and not (self.train == "instead" and train)

    def options(self, given: dict[str, Any]) -> dict[str, Any]:
        """Every option of the metric, the given ones in place of the defaults.

        Raises GanevalError for an option that it does not have, or a value of another type than its default's.
        """
        parameters = inspect.signature(self.fn).parameters.values()
        options = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
        for key, value in given.items():
            if key not in options:
                raise unknown(f"option of {self.name}", key, options)
            options[key] = _like(options[key], value, f"option {key} of {self.name}")
        if missing := [key for key, value in options.items() if value is inspect.Parameter.empty]:
            raise GanevalError(f"{self.name} has no default for its option {missing[0]}; its author must give it one")
        if isinstance(seed := options.get("seed"), int) and not 0 <= seed < 2**32:
            raise GanevalError(f"seed={seed} of {self.name}; give a number from 0 to {2**32 - 1}")
        return options


def _like(default: Any, value: Any, what: str) -> Any:
    """`value` as the default's type; text from a command line is parsed."""
    if isinstance(value, str) and not isinstance(default, str):
        try:
            if isinstance(default, bool):
                return {"true": True, "false": False}[value.lower()]
            value = int(value) if isinstance(default, int) else float(value)
        except (ValueError, KeyError):
            kinds: dict[type, str] = {bool: "true or false", int: "a whole number"}
            kind = kinds.get(type(default), "a number")
            raise GanevalError(f"{what} must be {kind}, got {value!r}") from None
    # Numbers of numpy are numbers, and True is none.
    allowed: type = {bool: bool, int: Integral, float: Real, str: str}.get(type(default), object)
    if not isinstance(value, allowed) or (isinstance(value, bool) and allowed is not bool):
        raise GanevalError(f"{what} must be {type(default).__name__}, got {value!r}")
    if isinstance(value, float) and value != value:
        raise GanevalError(f"{what} must be a number, got {value!r}")
    # Plain numbers again, for cache keys and documents are JSON.
    return type(default)(value) if type(default) in (int, float) else value


@dataclass(frozen=True)
class ExtractorSpec:
    """An extractor's row. A name such as "torchvision:<model>" takes a variant after the colon.

    target: function (variant, weights) -> types.Extractor; variant is the text after the colon, or the row's own;
    weights is a pathlib.Path that the user gave, or None for the published ones.
    extra: the pip extra that it needs, if any.
    """

    name: str
    target: str | Callable[..., Any]
    summary: str
    paper: str = ""
    variant: str | None = None
    extra: str | None = None

    @property
    def family(self) -> str:
        return self.name.partition(":")[0]


@dataclass(frozen=True)
class Baseline:
    """A reference model's row.

    target: the class, a subclass of the suite's Model.
    labels: it can't be trained without class labels. points: it has a network for 2-D mixtures too.
    """

    name: str
    target: str | Callable[..., Any]
    title: str
    paper: str
    kind: Literal["gan", "classifier"] = "gan"
    labels: bool = False
    points: bool = True

    @property
    def fn(self) -> Callable[..., Any]:
        return resolve(self.target)


@dataclass(frozen=True)
class Command:
    """A subcommand of `ganeval` that a plugin brings. target: a click.Command."""

    name: str
    target: str | Any


METRICS: dict[str, Metric] = {}
EXTRACTORS: dict[str, ExtractorSpec] = {}
BASELINES: dict[str, Baseline] = {}
COMMANDS: dict[str, Command] = {}


def add(*entries: Metric | ExtractorSpec | Baseline | Command) -> None:
    """Registers metrics, extractors, baselines and commands. A name that is taken raises GanevalError."""
    tables: dict[type, dict[str, Any]] = {
        Metric: METRICS, ExtractorSpec: EXTRACTORS, Baseline: BASELINES, Command: COMMANDS,
    }  # fmt: skip
    for entry in entries:
        table = tables[type(entry)]
        key = entry.name.partition(":<")[0]
        if key in table:
            raise GanevalError(f"{entry.name!r} is registered twice; give one of them another name")
        table[key] = entry


@cache
def load_plugins() -> None:
    """Imports the modules of the entry-point group "ganeval.plugins", once; what one of them lacks stops no other."""
    for point in entry_points(group="ganeval.plugins"):
        try:
            point.load()
        except Exception as error:
            # A plugin's code may raise anything.
            package = point.dist.name if point.dist else "?"
            log.warning("going on without the plugin %s of the package %s: %s", point.name, package, said(error))


def get_metric(name: str) -> Metric:
    """The metric of that name; hyphens stand for underscores. Raises GanevalError with the nearest name."""
    load_plugins()
    key = name.strip().lower().replace("-", "_")
    if key not in METRICS:
        several = [part.strip() for part in key.split(",")]
        if len(several) > 1 and METRICS.keys() >= set(several):
            raise GanevalError(f"{name!r} are {len(several)} metrics; name them one by one: "
                               + " ".join(f"--metric {part}" for part in several))  # fmt: skip
        raise unknown("metric", name, METRICS)
    return METRICS[key]


def get_baseline(name: str) -> Baseline:
    """The reference model of that name; hyphens stand for underscores. Raises GanevalError with the nearest name."""
    load_plugins()
    key = name.strip().lower().replace("-", "_")
    if key not in BASELINES:
        raise unknown("model", name, BASELINES)
    return BASELINES[key]


FRECHET = "ganeval.metrics.frechet:frechet"
PAIRS = "ganeval.metrics.pairs:pairs"

add(
    Metric("fid", "ganeval.metrics.frechet:fid", "FID", "lower", "arXiv:1706.08500",
           moments=True, home="inception", title_elsewhere="FD", family=FRECHET, cost=4.0),
    Metric("fid_debiased", "ganeval.metrics.frechet:fid_debiased", "FID, debiased", "lower", "arXiv:1706.08500",
           moments=True, home="inception", title_elsewhere="FD, debiased", family=FRECHET, cost=12.0),
    Metric("kid", "ganeval.metrics.kernel:kid", "KID", "lower", "arXiv:1801.01401", family=PAIRS, cost=8.0),
    Metric("mmd", "ganeval.metrics.kernel:mmd", "MMD (Gaussian)", "lower", "JMLR 13:723 (2012)",
           family=PAIRS, cost=7.0),
    Metric("cmmd", "ganeval.metrics.kernel:cmmd", "CMMD", "lower", "arXiv:2401.09603",
           home="clip", title_elsewhere="CMMD kernel", auto="home", family=PAIRS, cost=7.0),
    Metric("inception_score", "ganeval.metrics.class_scores:inception_score", "Inception Score", "higher",
           "arXiv:1606.03498", on="logits", reference=False, home="inception", title_elsewhere="IS (other network)"),
    Metric("mode_score", "ganeval.metrics.class_scores:mode_score", "Mode Score", "higher",
           "arXiv:1612.02136", on="logits"),
    Metric("emd", "ganeval.metrics.transport:emd", "EMD", "lower", "arXiv:1806.07755"),
    Metric("sliced_wasserstein", "ganeval.metrics.transport:sliced_wasserstein", "Sliced Wasserstein", "lower",
           "JMIV 51:22 (2015)"),
    Metric("one_nn_accuracy", "ganeval.metrics.neighbours:one_nn_accuracy", "1-NN accuracy", "half",
           "arXiv:1806.07755", family=PAIRS, share=True, cost=11.0),
    Metric("one_nn_accuracy_real", "ganeval.metrics.neighbours:one_nn_accuracy_real", "1-NN accuracy, real", "half",
           "arXiv:1806.07755", family=PAIRS, share=True, cost=11.0),
    Metric("one_nn_accuracy_fake", "ganeval.metrics.neighbours:one_nn_accuracy_fake", "1-NN accuracy, fake", "half",
           "arXiv:1806.07755", family=PAIRS, share=True, cost=11.0),
    Metric("precision", "ganeval.metrics.neighbours:precision", "Precision", "higher", "arXiv:1904.06991",
           family=PAIRS, share=True, cost=11.0),
    Metric("recall", "ganeval.metrics.neighbours:recall", "Recall", "higher", "arXiv:1904.06991",
           family=PAIRS, share=True, cost=11.0),
    Metric("density", "ganeval.metrics.neighbours:density", "Density", "higher", "arXiv:2002.09797",
           family=PAIRS, cost=11.0),
    Metric("coverage", "ganeval.metrics.neighbours:coverage", "Coverage", "higher", "arXiv:2002.09797",
           family=PAIRS, share=True, cost=11.0),
    Metric("vendi", "ganeval.metrics.diversity:vendi", "Vendi score", "higher", "arXiv:2210.02410", reference=False),
    Metric("mifid", "ganeval.metrics.frechet:mifid", "MiFID", "lower", "arXiv:2106.03062", home="inception",
           title_elsewhere="MiFD", auto="home", train="instead", cost=5.0),
    Metric("authenticity", "ganeval.metrics.copying:authenticity", "Authenticity", "higher", "arXiv:2102.08921",
           reference=False, train="needed", share=True),
    Metric("ct", "ganeval.metrics.copying:ct", "C_T", "zero", "arXiv:2004.05675", train="needed"),
    Metric("ndb", "ganeval.metrics.bins:ndb", "NDB/K", "lower", "arXiv:1805.12462", share=True, cost=5.0),
)  # fmt: skip

add(
    ExtractorSpec("inception", "ganeval.extractors.inception:load",
                  "Inception, TF1 bilinear resize: as torch-fidelity and the original FID", "arXiv:1706.08500", "tf1"),
    ExtractorSpec("inception-pytorch", "ganeval.extractors.inception:load",
                  "Inception, PyTorch bilinear resize: as pytorch-fid", "arXiv:1706.08500", "pytorch"),
    ExtractorSpec("inception-clean", "ganeval.extractors.inception:load",
                  "Inception, antialiased bicubic resize: as clean-fid", "arXiv:2104.11222", "clean"),
    ExtractorSpec("spatial-inception", "ganeval.extractors.inception:load",
                  "a middle layer of Inception, place by place, TF1 bilinear resize: the features of sFID",
                  "arXiv:2103.03841", "spatial"),
    ExtractorSpec("dinov2", "ganeval.extractors.dinov2:load", "DINOv2 ViT-L/14, class token",
                  "arXiv:2304.07193", extra="dinov2"),
    ExtractorSpec("clip", "ganeval.extractors.clip:load", "CLIP ViT-L/14 at 336 pixels, image embedding",
                  "arXiv:2103.00020", extra="clip"),
    ExtractorSpec("torchvision:<model>", "ganeval.extractors.torchvision:load",
                  "any torchvision classifier, before its last layer: torchvision:resnet50"),
    ExtractorSpec("classifier:<name>", "ganeval.extractors.classifier:load",
                  "embedded small classifiers, no download: classifier:digits, classifier:mnist, classifier:cifar10"),
    ExtractorSpec("pixels:<size>", "ganeval.extractors.pixels:load",
                  "the pixels themselves, no network, no download: pixels is pixels:32", variant="32"),
)  # fmt: skip
