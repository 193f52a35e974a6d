"""What half precision does to a score: a few images through the network both ways."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ganeval.features import extract_with
from ganeval.images import ImageSet
from ganeval.metrics.frechet import distance
from ganeval.settings import Settings
from ganeval.sides import Side
from ganeval.types import Extractor, Features

AT_MOST, SHARE, AT_LEAST = 100, 1 / 20, 8
"""Images of each set that are taken, as a number and as a share of the set: the check costs a few percent of a run."""


@dataclass(frozen=True)
class PrecisionEffect:
    """The same images' features in the precision of the run and in fp32.

    feature_difference: root mean square of the difference, over the standard deviation of the fp32 features across
    images (root mean square over the columns). distance, distance_fp32: the Fréchet distance between the n_fake and
    n_real images in each precision, None without images as a reference. Few images make it far larger than the
    score's own; what counts is how much the two differ.
    """

    precision: str
    n_fake: int
    n_real: int
    feature_difference: float
    distance: float | None = None
    distance_fp32: float | None = None

    def __str__(self) -> str:
        text = f"{self.precision} moves features by {self.feature_difference:.2%} of their spread"
        if not (self.distance and self.distance_fp32):
            return f"{text} ({self.n_fake} images both ways)"
        change = self.distance / self.distance_fp32 - 1
        return f"{text}, their distance by {change:+.2%} ({self.n_fake} and {self.n_real} images both ways)"


def precision_effect(
    fake: Side, real: Side | None, net: Extractor | None, settings: Settings
) -> PrecisionEffect | None:
    """Extracts some of the images that were read of each side in both precisions.

    None in fp32, where the samples came as features, and for samples of one image, or all alike to the network.
    """
    if settings.precision == "fp32" or net is None:
        return None
    sets = [_some(side.images, side.features, settings.seed) for side in (fake, real) if side and side.images]
    if fake.images is None or any(len(images) < 2 for images in sets):
        return None
    alone = replace(settings, progress=False, distributed=False)
    half, full = (
        [extract_with(images, net, each, "").pooled for images in sets]
        for each in (alone, replace(alone, precision="fp32"))
    )
    spread = float(full[0].double().std(0).square().mean().sqrt())
    if not spread:
        return None
    effect = PrecisionEffect(
        settings.precision,
        len(full[0]),
        len(full[1]) if len(full) > 1 else 0,
        float((half[0].double() - full[0].double()).square().mean().sqrt()) / spread,
    )
    if len(sets) == 1:
        return effect
    return replace(effect, distance=distance(*half), distance_fp32=distance(*full))


def _some(images: ImageSet, features: Features, seed: int) -> ImageSet:
    """A few of those that the features are of."""
    read = range(len(images)) if features.survey is None else sorted(features.survey.indices)
    k = min(len(read), max(AT_LEAST, min(AT_MOST, int(SHARE * len(read)))))
    return images.subset([read[i] for i in sorted(np.random.RandomState(seed).permutation(len(read))[:k])])
