"""make_reference(): the statistics of a set of images of any size, a part at a time."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from ganeval.advice import left_out
from ganeval.distributed import share
from ganeval.errors import GanevalError
from ganeval.features import NoImageError, full_fingerprint
from ganeval.images import Source, open_images
from ganeval.reference import write_statistics
from ganeval.settings import Precision, Settings
from ganeval.sides import SetInfo, Side, choose_extractor, extract_side
from ganeval.types import ExtractorLike, Moments

log = logging.getLogger(__name__)

PART = 4096
"""Images whose features `make_reference` holds at a time, and what it deals to ranks: whole, so that their number moves
nothing but the order of a few sums in float64."""


def make_reference(
    images: Source,
    path: str | Path,
    *,
    keep_features: bool = False,
    extractor: ExtractorLike = "auto",
    weights: str | Path | None = None,
    batch_size: int = 64,
    device: str = "auto",
    precision: Precision = "fp32",
    workers: int | None = None,
    skip_bad: bool = False,
    cache: bool = True,
    data_root: str | Path | None = None,
    progress: bool = False,
    distributed: bool = False,
    paranoid: bool = False,
) -> Moments:
    """Writes the statistics of a set of images to an .npz, and returns them: the mean (D,) and covariance (D, D).

    Memory holds the features of PART images at a time; they are in the cache as each part ends, so that a run that was
    stopped goes on from there. With `distributed` each rank reads its share of the images, and sends moments.
    keep_features: writes every row to the file too, in the order of the images' content within each part.
    See `ganeval.extract` for the other options.
    Raises GanevalError for no image, one that can't be read, and features to be kept of ranks or with skipped images.
    """
    settings = Settings(
        extractor=extractor, weights=weights, batch_size=batch_size, device=device, precision=precision,
        workers=workers, skip_bad=skip_bad, cache=cache, data_root=data_root, progress=progress,
        distributed=distributed, paranoid=paranoid,
    )  # fmt: skip
    return reference_with(images, path, settings, keep_features=keep_features)


def reference_with(source: Source, path: str | Path, settings: Settings, *, keep_features: bool = False) -> Moments:
    """`make_reference`, with its options as Settings."""
    path = Path(path)
    if path.suffix.lower() != ".npz":
        raise GanevalError(f"{path}: statistics are an .npz file; give a name that ends in .npz")
    if isinstance(source, str | Path) and os.path.realpath(os.path.expanduser(source)) == os.path.realpath(path):
        raise GanevalError(f"{path} holds the images themselves; write the statistics to another file")
    images = open_images(source, data_root=settings.data_root, cache=settings.cache, paranoid=settings.paranoid)
    if keep_features and (settings.skip_bad or settings.distributed):
        raise GanevalError("features are kept by one process, of images that can all be read: "
                           "leave out --skip-bad, --gpus and torchrun, or --keep-features")  # fmt: skip
    if settings.distributed:
        images = images.subset(share(len(images), PART))
    if settings.cache:
        images.digests()  # of all at once: asked for in parts, the file that keeps them would be written for each part
    side = Side(SetInfo(images.source, len(images), None), images, extractor=images.extractor)
    net, _ = choose_extractor(settings, side, None)
    assert net is not None, "images always need one"
    parts = side.parts(PART)
    alone = replace(settings, distributed=False)

    def features() -> Iterator[Tensor]:
        for i, part in enumerate(parts, 1):
            try:
                found = extract_side(part, net, alone, f"reference {i}/{len(parts)}").features
            except NoImageError as error:
                log.warning("part %d of %d is left out: %s", i, len(parts), error)
                continue
            if found.survey and found.survey.skipped:
                log.warning("%s", left_out(found.survey, "image(s)"))
            yield found.pooled

    return write_statistics(
        path, features(), full_fingerprint(net, settings.precision), net.name,
        keep=len(images) if keep_features else None, shared=settings.distributed,
    )  # fmt: skip
