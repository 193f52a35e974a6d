"""A side of a comparison, the samples or the reference: from what a user names to features in canonical order."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from ganeval.cache import key_of
from ganeval.errors import GanevalError
from ganeval.extractors import as_extractor
from ganeval.features import extract, full_fingerprint
from ganeval.images import ImageSet, Source, open_images
from ganeval.reference import holds_images, is_statistics, load_statistics
from ganeval.settings import Settings
from ganeval.types import Extractor, Features, Moments


@dataclass(frozen=True)
class SetInfo:
    """A set of images as the report names it: where it came from, how many, and the sha256 of its content."""

    source: str
    n: int | None
    sha256: str | None


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
            source = source[torch.tensor(_drawn(len(source), "features", settings.n, settings.seed))]
        return Side(SetInfo("features", len(source), None), source)
    if may_be_statistics and is_statistics(source):
        moments, sha256 = load_statistics(source)
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
        return Side(SetInfo(str(source), moments.n, sha256), moments, notes, extractor)
    images = open_images(source, data_root=settings.data_root, cache=settings.cache, paranoid=settings.paranoid)
    if settings.n is not None:
        images = images.subset(_drawn(len(images), images.source, settings.n, settings.seed))
    info = SetInfo(images.source, len(images), images.content_key())
    return Side(info, images, images.notes, images.extractor)


def _drawn(total: int, source: str, n: int, seed: int) -> list[int]:
    """A random n of so many rows, in their order."""
    if not 2 <= n <= total:
        raise GanevalError(f"--n {n}: {source} has {total} images; give 2 to {total}")
    return sorted(np.random.RandomState(seed).permutation(total)[:n].tolist())


def choose_extractor(settings: Settings, fake: Side, real: Side | None) -> tuple[Extractor | None, str]:
    """The extractor and why it was taken; None where both sides are features already."""
    if isinstance(fake.data, Features) and (real is None or isinstance(real.data, Features | Moments)):
        return None, "features as given"
    name, reason = settings.extractor, "as asked"
    if name == "auto":
        if real and real.extractor:
            name, reason = real.extractor, "the reference's own"
        elif real and isinstance(real.data, Moments):
            name, reason = "inception-pytorch", "the statistics are in pytorch-fid's form"
        elif real is None and fake.extractor:
            name, reason = fake.extractor, "the samples' own"
        elif real and isinstance(real.data, Features) and not real.data.fingerprint.startswith("inception/"):
            raise GanevalError(f"the features of {real.info.source} were made by {real.data.fingerprint}; "
                               "name the extractor that made them, for the samples")  # fmt: skip
        else:
            name, reason = "inception", "the default"
    net = as_extractor(name, weights=settings.weights)
    if real and isinstance(real.data, Features | Moments):
        # Before any image is read, for that may take hours.
        _refuse_other(real, "the samples", full_fingerprint(net, settings.precision))
    return net, reason


def extract_side(side: Side, net: Extractor | None, settings: Settings, label: str, *, by_content: bool = True) -> Side:
    """The side with its images replaced by their features, rows in the order of the images' digests.

    by_content=False leaves them in the order of their names.
    """
    if net is None or not isinstance(side.data, ImageSet):
        return side
    features = extract(
        side.data,
        net,
        batch_size=settings.batch_size,
        device=settings.device,
        precision=settings.precision,
        workers=settings.workers,
        skip_bad=settings.skip_bad,
        cache=settings.cache,
        progress=label if settings.progress else None,
        distributed=settings.distributed,
    )
    if features.survey and by_content:
        columns = np.ascontiguousarray(features.survey.digests).view(">u8")
        features = features[torch.from_numpy(np.lexsort(columns.T[::-1]))]
    return replace(side, data=features, images=side.data, info=replace(side.info, n=len(features)))


def refuse_mixture(fake: Side, real: Side | None) -> None:
    """Numbers from different extractors, weights, resizes or precisions are never compared."""
    if real is None or isinstance(real.data, ImageSet):
        return
    _refuse_other(real, fake.info.source, fake.features.fingerprint)
    width = real.data.mean.shape[0] if isinstance(real.data, Moments) else real.data.pooled.shape[1]
    if width != fake.features.pooled.shape[1]:
        raise GanevalError(
            f"{real.info.source} has {width} dimensions and the extractor gives {fake.features.pooled.shape[1]}; "
            "choose the --extractor that made the statistics"
        )


def _refuse_other(real: Side, source: str, ours: str) -> None:
    theirs = None if isinstance(real.data, ImageSet) else real.data.fingerprint
    if theirs is not None and theirs != ours:
        raise GanevalError(
            f"the features of {real.info.source} were made by {theirs} and those of {source} by {ours}; "
            "make both with one extractor and one precision"
        )
    precision = ours.rpartition("/")[2]
    if theirs is None and precision in ("bf16", "fp16"):
        raise GanevalError(
            f"{real.info.source} does not say in which precision its features were made, most likely fp32, and "
            f"{precision} is not compared with it; leave out --precision, or make statistics by `ganeval reference`"
        )
