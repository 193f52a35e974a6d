"""The banks that the experiments draw from: the images of each, and their features, each image extracted once."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from ganeval.auditing.experiments import GENERATED, REAL, TRAIN, Selection
from ganeval.auditing.images import altered, gaussian
from ganeval.errors import GanevalError
from ganeval.features import extract_with
from ganeval.images import ImageSet, Source, open_images
from ganeval.reference import is_statistics
from ganeval.settings import Settings
from ganeval.sides import SetInfo, Side, choose_extractor
from ganeval.types import Extractor, Features

MIN_N, DEFAULT_N = 50, 500
CORE, POOL = 4, 8
"""Images in units of n: S_r, S_g and the altered copies come from the core; only fillers for dropped modes from
the rest of the pool. The more there are, the less the repeats share."""
CLUSTERS, PER_CLUSTER = 50, 10
"""At most 50 clusters, as in the study, of 10 images of S_g each."""


class Banks:
    """Images by bank, and the features of a bank when they are first asked for."""

    def __init__(self, images: dict[str, ImageSet], net: Extractor, n: int, settings: Settings) -> None:
        self.images, self.net, self.n, self.settings = images, net, n, settings
        self.core = min(len(images[REAL]), CORE * n)
        self._features: dict[str, Features] = {}

    def size(self, bank: str) -> int:
        return len(self.features(bank))

    def features(self, bank: str) -> Features:
        """Rows of `real`, `train` and `generated` as in `images`; an altered bank has the rows of the core."""
        if bank not in self._features:
            if bank not in self.images:
                self.images[bank] = altered(self.images[REAL].subset(range(self.core)), bank, self.settings.seed)
            self._features[bank] = self._extracted(bank)
        return self._features[bank]

    def pick(self, selection: Selection, order: np.ndarray | None = None) -> Features:
        """The features of a selection, in `order`: scores over consecutive parts must not meet one bank at a time."""
        parts = [self.features(bank)[torch.from_numpy(rows)] for bank, rows in selection if len(rows)]
        pooled = torch.cat([part.pooled for part in parts])
        logits = [part.logits for part in parts if part.logits is not None]
        whole = Features(pooled, torch.cat(logits) if logits else None, parts[0].fingerprint)
        return whole if order is None else whole[torch.from_numpy(order)]

    def _extracted(self, bank: str) -> Features:
        images = self.images[bank]
        features = extract_with(images, self.net, self.settings, bank)
        bad = set(features.survey.skipped) if features.survey else set()
        self.images[bank] = images.subset([i for i in range(len(images)) if images.name(i) not in bad])
        return features


def open_banks(
    reference: Source, train: Source | None, samples: Source | None, settings: Settings
) -> tuple[Banks, str, list[str]]:
    """The banks, why their extractor was taken, and the warnings.

    Raises GanevalError for sets without images or with too few, and for a training set that is the reference.
    """
    real = _opened(reference, settings, "--ref")
    trained = None if train is None else _opened(train, settings, "--train")
    fakes = None if samples is None else _opened(samples, settings, "--samples")
    notes = [*real.notes, *(_overlap(real, trained) if trained else ())]
    parts = 3 if trained is None else 2
    n = _size(settings.n, real, parts, [others for others in (trained, fakes) if others])
    side = Side(SetInfo(real.source, len(real), None), real, extractor=real.extractor)
    net, reason = choose_extractor(settings, side, side)
    if net is None:
        raise GanevalError("the audit needs images, not features")
    random = np.random.RandomState(settings.seed)
    images = {REAL: _some(real, POOL * n, random)}
    if trained:
        images[TRAIN] = _some(trained, CORE * n, random)
    images[GENERATED] = _some(fakes, CORE * n, random) if fakes else gaussian(images[REAL], 2 * n, settings.seed)
    banks = Banks(images, net, n, settings)
    needs = {REAL: parts * n, TRAIN: n, GENERATED: n}
    for bank in images:
        if banks.size(bank) < needs[bank]:
            raise GanevalError(f"{banks.size(bank)} images of {images[bank].source} can be read; lower --n")
    banks.core = min(banks.size(REAL), CORE * n)
    return banks, reason, notes


def _opened(source: Source, settings: Settings, option: str) -> ImageSet:
    """The images in the order of their stored content, so that names and places change no number."""
    if isinstance(source, Features) or is_statistics(source):
        what = "holds features" if isinstance(source, Features) else f"{source} holds statistics"
        raise GanevalError(f"{option} {what}, and the audit alters the images themselves; give the images")
    images = open_images(source, data_root=settings.data_root, cache=settings.cache, paranoid=settings.paranoid)
    return images.subset(sorted(range(len(images)), key=images.digests().__getitem__))


def _overlap(real: ImageSet, train: ImageSet) -> list[str]:
    ours = set(train.digests())
    shared = len(ours.intersection(real.digests()))
    if 2 * shared >= min(len(real), len(ours)):
        raise GanevalError(
            f"{shared} of the {len(real)} reference images are in the training set {train.source} too; "
            "overfitting shows against images that were not trained on: give a held-out reference"
        )
    return [f"{shared} images are in the reference and in the training set: overfitting shows less"] if shared else []


def _size(n: int | None, real: ImageSet, parts: int, others: list[ImageSet]) -> int:
    """n as asked, or DEFAULT_N, or as many as there are."""
    most = min(len(real) // parts, *(len(images) for images in others), len(real))
    why = f"{parts} disjoint sets of n reference images"
    if others:
        why += f", and n of {' and of '.join(images.source for images in others)}"
    if most < MIN_N:
        counts = ", ".join(f"{images.source} has {len(images)}" for images in (real, *others))
        raise GanevalError(f"too few images: the audit needs {why}, with n = {MIN_N} at the least; {counts}")
    if n is not None and not MIN_N <= n <= most:
        raise GanevalError(f"--n {n}: the audit needs {why}; give {MIN_N} to {most}")
    return n or min(DEFAULT_N, most)


def _some(images: ImageSet, count: int, random: np.random.RandomState) -> ImageSet:
    return images.subset(random.permutation(len(images))[:count].tolist())


def clustered(real: Features, n: int, seed: int) -> tuple[np.ndarray, np.ndarray, int]:
    """The cluster of each image of the pool, its distance to that cluster's centre, and how many clusters there are.

    k-means on the features. Raises GanevalError where there are fewer distinct images than clusters.
    """
    k, x = min(CLUSTERS, n // PER_CLUSTER), real.pooled.numpy()
    means = KMeans(k, n_init=3, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            apart = means.fit_transform(x)
        except ConvergenceWarning:
            distinct = len(np.unique(x, axis=0))
            raise GanevalError(
                f"the reference has {distinct} distinct images in these features, fewer than the {k} clusters that "
                "mode dropping needs; give more varied images or another --extractor"
            ) from None
    return means.labels_, apart.min(1), k
