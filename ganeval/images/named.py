"""Named data sets: scikit-learn's embedded digits, and torchvision's where their files are here."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ganeval.datasets import DATASETS
from ganeval.errors import GanevalError, UnobtainableError, said, unknown
from ganeval.files import offline
from ganeval.images import ImageSet
from ganeval.images.arrays import from_array

DIGITS_TRAIN = 1200
"""Images in digits:train, a fixed random choice; the other 597 are digits:test."""


def open_named(name: str, split: str, source: str, data_root: str | Path | None) -> ImageSet:
    """A split of a named data set.

    Raises GanevalError for an unknown or missing split, UnobtainableError where the files are not here.
    """
    info = DATASETS[name]
    split = split or ("all" if "all" in info.splits else "")
    if not split:
        raise GanevalError(f"{name} has splits; say {' or '.join(f'{name}:{s}' for s in info.splits)}")
    if split not in info.splits:
        raise unknown(f"split of {name}", split, info.splits)
    if info.loader is None:
        pixels, labels = _digits(split)
        classes = tuple("0123456789")
    else:
        pixels, labels, classes = _torchvision(name, split, data_root)
    images = from_array(pixels, source, labels)
    return replace(images, class_names=classes, extractor=info.extractor)


def fetch(name: str, data_root: str | Path | None) -> None:
    """Downloads a named data set, by torchvision's own loader, which checks the files it gets, into data_root.

    Raises GanevalError without a place to put it, UnobtainableError with the URL where it can't be had.
    """
    import torchvision.datasets

    info = DATASETS[name]
    root = data_root or os.environ.get("GANEVAL_DATA")
    if info.loader is None:
        return
    if not root:
        raise GanevalError(f"where should {name} go? Say --data-root FOLDER, or set GANEVAL_DATA")
    if offline():
        raise UnobtainableError(f"{name} is not fetched while GANEVAL_OFFLINE is set; its files are at {info.url}")
    try:
        for split in info.splits:
            getattr(torchvision.datasets, info.loader)(root, download=True, **_which(name, split))
    except (RuntimeError, OSError, ValueError) as error:
        raise UnobtainableError(
            f"{name} can't be fetched ({said(error)}); download it from {info.url} in torchvision's layout into {root}"
        ) from None


def _which(name: str, split: str) -> dict[str, Any]:
    """How torchvision's loader of a data set is told the split."""
    return {"split": split} if name in ("svhn", "stl10") else {"train": split == "train"}


def _digits(split: str) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (N, 8, 8): the 17 grey levels spread over 0 to 255."""
    from sklearn.datasets import load_digits

    data = load_digits()
    pixels = np.rint(data.images * (255 / 16)).astype(np.uint8)
    order = np.random.RandomState(0).permutation(len(pixels))
    rows = {"all": np.arange(len(pixels)), "train": order[:DIGITS_TRAIN], "test": order[DIGITS_TRAIN:]}[split]
    return pixels[rows], data.target[rows]


def _torchvision(name: str, split: str, data_root: str | Path | None) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Pixels (N, H, W[, 3]), labels and class names of a data set that torchvision reads."""
    import torchvision.datasets

    info = DATASETS[name]
    root = data_root or os.environ.get("GANEVAL_DATA")
    if not root:
        raise UnobtainableError(
            f"{name} is not part of ganeval: download it from {info.url} in torchvision's layout, "
            "and say where it lies with --data-root FOLDER or GANEVAL_DATA"
        )
    try:
        data = getattr(torchvision.datasets, str(info.loader))(root, download=False, **_which(name, split))
    except (RuntimeError, OSError, ValueError) as error:
        raise UnobtainableError(
            f"{name} can't be read from {root} ({said(error)}); download it from {info.url} "
            "in torchvision's layout, or say where it lies with --data-root FOLDER or GANEVAL_DATA"
        ) from None
    pixels = np.asarray(data.data)
    if pixels.ndim == 4 and pixels.shape[1] == 3:
        pixels = pixels.transpose(0, 2, 3, 1)
    labels = np.asarray(data.targets if hasattr(data, "targets") else data.labels)
    # torchvision calls MNIST's classes "0 - zero".
    classes = tuple(str(c).partition(" - ")[0] for c in getattr(data, "classes", range(info.classes)))
    return pixels, labels, classes
