"""A side of a comparison, the samples or the reference: from what a user names to features in canonical order."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from ganeval.cache import key_of
from ganeval.errors import GanevalError
from ganeval.extractors import as_extractor
from ganeval.features import extract_with, full_fingerprint, precision_of
from ganeval.images import ImageSet, Source, open_images
from ganeval.images.archives import check_sums
from ganeval.images.digests import digest_of
from ganeval.reference import holds_images, is_statistics, load_statistics
from ganeval.settings import Settings
from ganeval.types import Extractor, Features, Moments

GIVEN = "features"
"""The source of a side whose features the caller brings."""
INCEPTION = "inception-2015-12-05/"
"""How the fingerprints of the default extractor, and of its kin with another resize, begin."""


@dataclass(frozen=True)
class SetInfo:
    """A set of images as the report names it: where it came from, how many, and the sha256 of its content.

    drawn: of a statistics file, how many of the features that it keeps `n` has drawn, for the metrics that read those.
    """

    source: str
    n: int | None
    sha256: str | None
    drawn: int | None = None


@dataclass(frozen=True)
class Side:
    """The samples or the reference, on the way from images to features in the order of their content.

    images: what the features were made from, where that is known; `features.survey.indices` leads from rows to it.
    mirrored: the features that these images have mirrored, row by row, where copies of those are looked for.
    """

    info: SetInfo
    data: ImageSet | Features | Moments
    notes: tuple[str, ...] = ()
    extractor: str | None = None
    images: ImageSet | None = None
    mirrored: Features | None = None

    def parts(self, size: int) -> list[Side]:
        """The side cut into pieces of at most `size` images, in their order; features already made stay whole."""
        if not isinstance(self.data, ImageSet):
            return [self]
        cuts = [range(i, min(i + size, len(self.data))) for i in range(0, len(self.data), size)]
        return [replace(self, data=self.data.subset(cut)) for cut in cuts]

    @property
    def known(self) -> Features | Moments:
        """The data, once extracted: features, or the moments of a statistics file."""
        if isinstance(self.data, ImageSet):
            raise TypeError(f"{self.info.source} has no features yet")
        return self.data

    @property
    def features(self) -> Features:
        """The data, once extracted."""
        if not isinstance(self.data, Features):
            raise TypeError(f"{self.info.source} has no features")
        return self.data


def open_side(source: Source | Features, settings: Settings, *, may_be_statistics: bool = False) -> Side:
    if isinstance(source, Features):
        if settings.n is not None:
            source = source[torch.tensor(_drawn(len(source), GIVEN, settings.n, settings.seed))]
        return Side(SetInfo(GIVEN, len(source), None), source)
    if may_be_statistics and is_statistics(source):
        moments = load_statistics(source, settings.extractor)
        sha256 = digest_of(source, check_sums, cache=settings.cache, paranoid=settings.paranoid)
        if moments.features and settings.n is not None:
            rows = torch.tensor(_drawn(len(moments.features), str(source), settings.n, settings.seed))
            moments = replace(moments, features=moments.features[rows])
            sha256 = key_of(sha256, settings.n, settings.seed)
        notes: tuple[str, ...] = ()
        if moments.fingerprint is None:
            notes = (f"{source} does not say how its features were made: compare only if by this very extractor",)
        extractor = moments.extractor
        if holds_images(source):
            extractor = extractor or "inception"
            notes += (
                f"{source} holds images too, which are not read: its statistics are those of a larger set; for metrics "
                "that need images save arr_0 as a file of its own",
            )
        drawn = settings.n if moments.features else None
        return Side(SetInfo(str(source), moments.n, sha256, drawn), moments, notes, extractor)
    images = open_images(source, data_root=settings.data_root, cache=settings.cache, paranoid=settings.paranoid)
    if settings.n is not None:
        images = images.subset(_drawn(len(images), images.source, settings.n, settings.seed))
    info = SetInfo(images.source, len(images), images.content_key())
    return Side(info, images, images.notes, images.extractor)


def _drawn(total: int, source: str, n: int, seed: int) -> list[int]:
    """A random n of so many rows, in their order."""
    if not 2 <= n <= total:
        mend = f"give a whole number from 2 to {total}" if total > 1 else "give a set of more"
        raise GanevalError(f"--n {n}: {source} has {total} image{'s' * (total != 1)}; {mend}")
    return sorted(np.random.RandomState(seed).permutation(total)[:n].tolist())


def choose_extractor(settings: Settings, fake: Side, real: Side | None) -> tuple[Extractor | None, str]:
    """The extractor and why it was taken; None where both sides are features already.

    Raises GanevalError for an extractor, weights or a precision that did not make the features that are given.
    """
    if isinstance(fake.data, Features) and (real is None or isinstance(real.data, Features | Moments)):
        known, asked = precision_of(fake.data.fingerprint), settings.precision
        if settings.extractor != "auto":
            net = as_extractor(settings.extractor, weights=settings.weights)
            _refuse_other(fake, "the extractor", full_fingerprint(net, known or asked))
        elif settings.weights is not None:
            raise GanevalError(f"weights={settings.weights}: {_whose(fake)} are there already; leave it out")
        if asked not in ("fp32", known):
            raise GanevalError(f"precision={asked}: {_whose(fake)} were made by {fake.data.fingerprint}; leave it out")
        return None, "features as given"
    name, reason = settings.extractor, "as asked"
    if name == "auto":
        if real and real.extractor:
            name, reason = real.extractor, "the reference's own"
        elif real and isinstance(real.data, Moments):
            name, reason = "inception-pytorch", "the statistics are in pytorch-fid's form"
        elif real is None and fake.extractor:
            name, reason = fake.extractor, "the samples' own"
        else:
            name, reason = "inception", "the default"
            for side, other in ((real, "samples"), (fake, "reference")):
                made_by = side.data.fingerprint if side and isinstance(side.data, Features) else INCEPTION
                if not made_by.startswith(INCEPTION):
                    raise GanevalError(f"{_whose(side)} were made by {made_by}; name the extractor that made them, "
                                       f"for the {other}")  # fmt: skip
    net = as_extractor(name, weights=settings.weights)
    # Before any image is read, for that may take hours.
    ours = full_fingerprint(net, settings.precision)
    if real and isinstance(real.data, Features | Moments):
        _refuse_other(real, "the samples", ours)
    if isinstance(fake.data, Features):
        _refuse_other(fake, "the reference", ours)
    return net, reason


def _whose(side: Side | None) -> str:
    """The features of a side, as messages name them."""
    return f"the features of {side.info.source}" if side and side.info.source != GIVEN else "the features given"


def extract_side(side: Side, net: Extractor | None, settings: Settings, label: str, *, by_content: bool = True) -> Side:
    """The side with its images replaced by their features, rows in the order of the images' digests.

    by_content=False leaves them in the order of their names.
    """
    if net is None or not isinstance(side.data, ImageSet):
        return side
    features = extract_with(side.data, net, settings, label)
    if features.survey and by_content:
        columns = np.ascontiguousarray(features.survey.digests).view(">u8")
        features = features[torch.from_numpy(np.lexsort(columns.T[::-1]))]
    return replace(side, data=features, images=side.data, info=replace(side.info, n=len(features)))


def refuse_mixture(fake: Side, real: Side | None) -> None:
    """Numbers from different extractors, weights, resizes or precisions are never compared."""
    if real is None or isinstance(real.data, ImageSet):
        return
    source = "the samples" if fake.info.source == GIVEN else fake.info.source
    _refuse_other(real, source, fake.features.fingerprint)
    width = real.data.mean.shape[0] if isinstance(real.data, Moments) else real.data.pooled.shape[1]
    if width != fake.features.pooled.shape[1]:
        raise GanevalError(
            f"{real.info.source} has {width} dimensions and the extractor gives {fake.features.pooled.shape[1]}; "
            "choose the --extractor that made the statistics"
        )


def _refuse_other(side: Side, source: str, ours: str) -> None:
    """Where the features of a side were made otherwise than `ours`, those of `source`."""
    theirs = None if isinstance(side.data, ImageSet) else side.data.fingerprint
    if theirs is not None and theirs != ours:
        raise GanevalError(
            f"{_whose(side)} were made by {theirs} and those of {source} by {ours}; "
            "make both with one extractor and one precision"
        )
    precision = ours.rpartition("/")[2]
    if theirs is None and precision in ("bf16", "fp16"):
        raise GanevalError(
            f"{side.info.source} does not say in which precision its features were made, most likely fp32, and "
            f"{precision} is not compared with it; leave out --precision, or make statistics by `ganeval reference`"
        )
