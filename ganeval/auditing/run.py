"""audit(): images to features once per bank, then every metric on every level of every experiment."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from ganeval.auditing.banks import Banks, clustered, open_banks
from ganeval.auditing.experiments import EXPERIMENTS, GENERATED, REAL, TRAIN, Draw, Level, Selection
from ganeval.auditing.report import AuditReport
from ganeval.auditing.verdicts import Curve
from ganeval.devices import environment, pick_device
from ganeval.errors import GanevalError, unknown
from ganeval.evaluate import Plan, Requests, plan, requested, run
from ganeval.images import ImageSet, Source
from ganeval.registry import METRICS
from ganeval.report import ExtractorInfo
from ganeval.settings import Precision, Settings
from ganeval.sides import SetInfo
from ganeval.types import ExtractorLike

MIN_REPEATS = 4
"""With fewer, chance alone tells equal sets apart too often: 4 scores against 4 are ordered once in 70."""


def audit(
    reference: Source,
    *,
    train: Source | None = None,
    samples: Source | None = None,
    extractor: ExtractorLike = "auto",
    metrics: Requests = None,
    experiments: Sequence[str] | None = None,
    n: int | None = None,
    repeats: int = 10,
    seed: int = 0,
    weights: str | Path | None = None,
    batch_size: int = 64,
    device: str = "auto",
    precision: Precision = "fp32",
    workers: int | None = None,
    skip_bad: bool = False,
    cache: bool = True,
    data_root: str | Path | None = None,
    progress: bool = False,
    paranoid: bool = False,
) -> AuditReport:
    """Which metrics see which defects, on the user's own images: the experiments of Xu et al. (2018, arXiv:1806.07755).

    reference: real images. train: the training set, for overfitting; without it, a third part of the reference plays
    it. samples: generated images to mix in; without them, draws from the Gaussian with the reference's mean and
    covariance in pixels. n: the size of each set; by default 500, or as many as there are. See `ganeval.score` for
    the other options, `ganeval.auditing.experiments` for what is done, `ganeval.auditing.verdicts.RULE` for the words.

    repeats: each splits the reference anew; the more, the finer the verdicts.
    Raises GanevalError for too few images, a reference without images, unknown names, or fewer than 4 repeats.
    """
    settings = Settings(
        extractor=extractor, metrics=metrics, weights=weights, n=n, seed=seed, batch_size=batch_size, device=device,
        precision=precision, workers=workers, skip_bad=skip_bad, cache=cache, data_root=data_root, progress=progress,
        paranoid=paranoid,
    )  # fmt: skip
    return audit_with(reference, settings, train=train, samples=samples, experiments=experiments, repeats=repeats)


def audit_with(
    reference: Source, settings: Settings, *, train: Source | None = None, samples: Source | None = None,
    experiments: Sequence[str] | None = None, repeats: int = 10,
) -> AuditReport:  # fmt: skip
    """`audit`, with its options as Settings."""
    if repeats < MIN_REPEATS:
        raise GanevalError(f"--repeats {repeats}: give {MIN_REPEATS} or more; fewer can't tell a defect from chance")
    names, seed = _wanted(experiments), settings.seed
    requested(settings.metrics)  # a typo is found before any image is read
    banks, reason, notes = open_banks(reference, train, samples, settings)
    real = banks.features(REAL)
    clusters, to_centre, k = clustered(real, banks.n, seed)
    rows = np.arange(2 * banks.n)
    half, other = banks.pick(((REAL, rows[::2]),)), banks.pick(((REAL, rows[1::2]),))
    # Held-out images play the training set where there is none, so what needs one always runs.
    todo = plan(settings.metrics, half, other, banks.net.name, seed, train=other)
    found = _Scores(banks, replace(todo, explicit=False), pick_device(settings.device))
    with tqdm(total=repeats * len(names), desc="audit", disable=not settings.progress, leave=False) as bar:
        for repeat in range(repeats):
            draw = _draw(banks, clusters, to_centre, seed, repeat)
            found.known.clear()
            for name in names:
                found.score(name, draw)
                bar.update()
    info = ExtractorInfo.of(banks.net, real, settings.precision, reason)
    sets = {bank: _info(banks.images[bank]) for bank in (REAL, TRAIN, GENERATED) if bank in banks.images}
    return AuditReport(
        sets=sets,
        extractor=info,
        n=banks.n,
        repeats=repeats,
        seed=seed,
        clusters=k,
        metrics=todo.wanted,
        curves=found.curves(),
        seconds=found.least_seconds(),
        skipped={**todo.skipped, **found.failed},
        warnings=notes,
        environment=environment(found.device),
    )


def _info(images: ImageSet) -> SetInfo:
    return SetInfo(images.source, len(images), images.content_key())


class _Scores:
    """Scores levels and keeps what came out: {(experiment, metric, line): {strength: [score of each repeat]}}."""

    def __init__(self, banks: Banks, todo: Plan, device: torch.device) -> None:
        self.banks, self.todo, self.device = banks, todo, device
        self.scores: dict[tuple[str, str, str], dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
        self.seconds: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
        self.failed: dict[str, str] = {}
        self.known: dict[tuple, dict[str, float]] = {}
        """Of this repeat: the level without a defect is the same in most experiments."""

    def score(self, name: str, draw: Draw) -> None:
        """One repeat of an experiment."""
        for level in EXPERIMENTS[name].levels(draw):
            key = (_key(level.fake), _key(level.real), level.line == "train")
            if key not in self.known:
                self.known[key] = self._run(level, draw)
            for metric in self.todo.wanted:
                value = self.known[key].get(metric, math.nan)
                self.scores[name, metric, level.line][level.strength].append(value)

    def _run(self, level: Level, draw: Draw) -> dict[str, float]:
        n = sum(len(rows) for _, rows in level.fake)
        fake = self.banks.pick(level.fake, np.random.RandomState(draw.seed).permutation(n))
        real, train = self.banks.pick(level.real), self.banks.pick((draw.train,))
        own, others = (replace(self.todo, wanted=w) for w in _split(self.todo.wanted))
        scored, failed = run(others, fake, real, device=self.device, cache_key=None)
        # What needs the training set reads it by itself; it has no use for training images as the reference.
        if level.line != "train":
            more, lost = run(own, fake, real, device=self.device, cache_key=None, train=train)
            scored, failed = {**scored, **more}, {**failed, **lost}
        for name, reason in failed.items():
            self.failed.setdefault(name, f"at n = {n}: {reason}")
        for name, line in scored.items():
            self.seconds[name][n].append(line.seconds)
        return {name: line.estimate.value for name, line in scored.items()}

    def curves(self) -> dict[str, dict[str, dict[str, Curve]]]:
        """{experiment: {metric: {line: curve}}}."""
        found: dict[str, dict[str, dict[str, Curve]]] = defaultdict(lambda: defaultdict(dict))
        for (name, metric, line), levels in self.scores.items():
            found[name][metric][line] = Curve(tuple(levels), np.array(list(levels.values())))
        return {name: dict(metrics) for name, metrics in found.items()}

    def least_seconds(self) -> dict[str, dict[int, float]]:
        """{metric: {n: seconds}}, the least that was met, which other work on the machine moves the least.

        The metrics of one family share its time equally.
        """
        return {name: {n: min(s) for n, s in sorted(by_n.items())} for name, by_n in self.seconds.items()}


def _split(wanted: Mapping[str, dict]) -> tuple[dict[str, dict], dict[str, dict]]:
    """The metrics that need a training set, and the others; MiFID reads the set that it is scored against."""
    own = {name: options for name, options in wanted.items() if METRICS[name].train == "needed"}
    return own, {name: options for name, options in wanted.items() if name not in own}


def _key(selection: Selection) -> tuple:
    return tuple((bank, rows.tobytes()) for bank, rows in selection if len(rows))


def _wanted(experiments: Sequence[str] | None) -> list[str]:
    for name in experiments or ():
        if name not in EXPERIMENTS:
            raise unknown("experiment", name, EXPERIMENTS)
    return [name for name in EXPERIMENTS if not experiments or name in experiments]


def _draw(banks: Banks, clusters: np.ndarray, to_centre: np.ndarray, seed: int, repeat: int) -> Draw:
    """The sets of one repeat. Only rows of the core are ever altered, so that few images need be."""
    random, n = np.random.RandomState([seed, repeat]), banks.n
    core = random.permutation(banks.core)
    train = (REAL, core[2 * n : 3 * n])
    if TRAIN in banks.images:
        train = (TRAIN, random.permutation(banks.size(TRAIN))[:n])
    spare = random.permutation(np.concatenate([core[2 * n :], np.arange(banks.core, banks.size(REAL))]))
    generated = random.permutation(banks.size(GENERATED))[:n]
    return Draw(core[:n], core[n : 2 * n], spare, train, generated, clusters, to_centre, random.randint(2**31))
