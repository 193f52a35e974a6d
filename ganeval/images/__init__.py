"""Images from anywhere, as uint8 RGB: `open_images` takes a folder, zip, npz, npy, tensor, array or data set name."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ganeval.datasets import DATASETS
from ganeval.errors import BadImageError, GanevalError, unknown


class Image(NamedTuple):
    """One image: uint8 (3, H, W), the format it was stored in, and what was done to reach 8-bit RGB."""

    pixels: Tensor
    format: str
    treatments: tuple[str, ...] = ()


class PassingError(BadImageError):
    """An image that can't be read now and may be later: the file system failed or refused, or memory ran out."""


class Reader(Protocol):
    """Where images lie. `read` raises BadImageError; `digests` are the sha256 of images as stored, not decoded.

    `changed` gives those of `rows` whose files are not what they were when their digests were made.
    """

    def __len__(self) -> int: ...

    def read(self, i: int) -> Image: ...

    def name(self, i: int) -> str: ...

    def digests(self, rows: Sequence[int]) -> list[bytes]: ...

    def changed(self, rows: Sequence[int]) -> list[int]: ...


@dataclass(frozen=True)
class ImageSet(Dataset):
    """A set of images of any sizes; item i is an Image.

    source: as the user named it. labels: int64 (N,) or None. class_names: by label, perhaps empty.
    extractor: a named data set's own. notes: what the report should say of the whole set.
    """

    source: str
    reader: Reader
    rows: tuple[int, ...]
    labels: Tensor | None = None
    class_names: tuple[str, ...] = ()
    extractor: str | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> Image:
        return self.reader.read(self.rows[i])

    def name(self, i: int) -> str:
        """The file, member or array row of image i, for messages."""
        return self.reader.name(self.rows[i])

    def subset(self, indices: Sequence[int]) -> ImageSet:
        """The images at these indices, in this order."""
        labels = None if self.labels is None else self.labels[list(indices)]
        return replace(self, rows=tuple(self.rows[i] for i in indices), labels=labels)

    def digests(self) -> list[bytes]:
        """The sha256 of each image as stored, in order."""
        return self.reader.digests(self.rows)

    def changed(self) -> list[int]:
        """The images whose files are not what they were when their digests were made; nothing is read for it."""
        rows = set(self.reader.changed(self.rows))
        return [i for i, row in enumerate(self.rows) if row in rows]

    def content_key(self) -> str:
        """The sha256 over the stored content of every image, in order, and the labels.

        File names, places and times do not enter; nothing is decoded. Made once for an opened set.
        """
        return self._content_key

    @cached_property
    def _content_key(self) -> str:
        total = hashlib.sha256()
        for digest in self.digests():
            total.update(digest)
        if self.labels is not None:
            total.update(repr((self.labels.tolist(), self.class_names)).encode())
        return total.hexdigest()


Source = str | Path | Tensor | np.ndarray | Sequence[Any] | ImageSet


def open_images(
    source: Source, *, data_root: str | Path | None = None, cache: bool = True, paranoid: bool = False
) -> ImageSet:
    """Opens a set of images; none is decoded yet.

    source: a folder (searched in depth; class folders give labels), a .zip (StyleGAN's dataset.json gives labels),
    an .npz (`arr_0`, NHWC) or .npy, a data set name with its split ("mnist:test"), a tensor (N, 3 or 1, H, W) or
    array (N, H, W[, 1, 3 or 4]), uint8 or floats in [0, 1], or a list of PIL images, tensors or arrays of one size.
    data_root: where torchvision's data sets lie; else GANEVAL_DATA.
    cache: keeps the digests of files. paranoid: takes none that was kept, and reads every file for its digest; without
    it a file is read again only where its size, times or inode are not what they were. An ImageSet stays as it was
    opened.

    Raises GanevalError for what can't be opened, UnobtainableError for a named data set that is not here.
    """
    from ganeval.images import arrays, folders, named
    from ganeval.images.digests import Memo, stamp_of

    if isinstance(source, ImageSet):
        return source
    if isinstance(source, Tensor | np.ndarray):
        return arrays.from_memory(source)
    if isinstance(source, list | tuple):
        return arrays.from_list(source)
    if not isinstance(source, str | Path):
        raise GanevalError(f"can't take images from a {type(source).__name__}; give a path, a tensor or an array, "
                           "such as torch.cat([images for images, _ in loader])")  # fmt: skip
    if not str(source).strip():
        raise GanevalError("an empty path names no images; is a variable unset?")
    path = Path(os.path.expanduser(source))
    memo = Memo(path, stamp_of(path), cache, paranoid)
    try:
        is_folder, is_file = path.is_dir(), path.is_file()
    except OSError as error:
        raise GanevalError(f"can't open {source}: {error.strerror}; give a folder, .zip, .npz, .npy, or a data set "
                           "name") from None  # fmt: skip
    if is_folder:
        return folders.open_folder(path, str(source), memo)
    if is_file:
        openers = {".zip": folders.open_zip, ".npz": arrays.open_npz, ".npy": arrays.open_npy}
        if path.suffix.lower() not in openers:
            raise GanevalError(f"{source} is a file of a kind not understood; give a folder, .zip, .npz or .npy")
        return openers[path.suffix.lower()](path, str(source), memo)
    name, _, split = str(source).partition(":")
    if name.lower().replace("-", "_") in DATASETS:
        return named.open_named(name.lower().replace("-", "_"), split, str(source), data_root)
    if isinstance(source, str) and re.fullmatch(r"[\w-]+(:\w*)?", source):
        hint = unknown("data set", name, DATASETS)
        raise GanevalError(f"{source!r} is no file or folder here, and as a name: {hint}")
    raise GanevalError(f"{source} does not exist; give a folder, .zip, .npz, .npy, or a data set name")


def all_rows(reader: Reader) -> tuple[int, ...]:
    """Every row of a reader, in order."""
    return tuple(range(len(reader)))


def as_labels(values: Sequence[int] | np.ndarray) -> Tensor:
    """Labels as int64 (N,)."""
    return torch.from_numpy(np.array(values, dtype=np.int64))
