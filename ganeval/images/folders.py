"""Folders and zip archives of image files."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from torch import Tensor

from ganeval.errors import BadImageError, GanevalError, said
from ganeval.files import in_place, sha256_file
from ganeval.images import Image, ImageSet, PassingError, all_rows, as_labels
from ganeval.images.archives import check_names
from ganeval.images.decode import EXTENSIONS, decode, kind_of
from ganeval.images.digests import UNREADABLE, Memo, Stamp, stamp_of

LARGEST_MEMBER = 2**28
"""Bytes of one unpacked member of a zip; more than this is no image but a bomb."""


@dataclass(frozen=True)
class FolderReader:
    """Image files below a folder, by their path relative to it."""

    root: Path
    paths: tuple[str, ...]
    memo: Memo

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, i: int) -> str:
        return str(self.root / self.paths[i])

    def read(self, i: int) -> Image:
        if in_place(self._path(i)):
            raise BadImageError(f"{self.name(i)} is a pipe or device, no file; remove it, or pass --skip-bad")
        try:
            with open(self.root / self.paths[i], "rb") as file:
                return decode(file, self.name(i))
        except OSError as error:
            raise _unreadable(self.name(i), error) from None

    def digests(self, rows: Sequence[int]) -> list[bytes]:
        return self.memo.digests(self.paths, rows, self._digest, lambda i: stamp_of(self._path(i)))

    def changed(self, rows: Sequence[int]) -> list[int]:
        return self.memo.changed(self.paths, rows, lambda i: stamp_of(self._path(i)))

    def _digest(self, i: int) -> bytes:
        try:
            # Unreadable now is unreadable later; `read` says so, or skips it. A pipe would be waited for without end.
            return UNREADABLE if in_place(self._path(i)) else bytes.fromhex(sha256_file(self._path(i)))
        except OSError:
            return UNREADABLE

    def _path(self, i: int) -> str:
        return os.path.join(self.root, self.paths[i])


def _unreadable(name: str, error: OSError) -> PassingError:
    return PassingError(f"can't open {name}: {error.strerror}; mend its permissions, or pass --skip-bad")


@dataclass(frozen=True)
class ZipReader:
    """Image files in a zip archive, by member name."""

    path: Path
    members: tuple[str, ...]
    memo: Memo

    def __len__(self) -> int:
        return len(self.members)

    def name(self, i: int) -> str:
        return f"{self.path}!{self.members[i]}"

    def read(self, i: int) -> Image:
        return decode(io.BytesIO(self._bytes(i)), self.name(i))

    def digests(self, rows: Sequence[int]) -> list[bytes]:
        return self.memo.digests(self.members, rows, self._digest)

    def changed(self, rows: Sequence[int]) -> list[int]:
        return self.memo.changed(self.members, rows)

    def _digest(self, i: int) -> bytes:
        try:
            return hashlib.sha256(self._bytes(i)).digest()
        except BadImageError:
            return UNREADABLE  # `read` says so, or skips it

    def _bytes(self, i: int) -> bytes:
        try:
            return _archive(self.path, self.memo.opened, os.getpid()).read(self.members[i])
        except Exception as error:
            # Of damage and change zipfile raises KeyError, struct.error, UnicodeDecodeError and more, and its
            # decompressors errors of their own.
            raise kind_of(error)(
                f"can't unpack {self.name(i)}: {said(error)}; the zip is damaged, or has changed since: make it again"
            ) from None


@lru_cache(maxsize=16)
def _archive(path: Path, opened: Stamp | None, process: int) -> zipfile.ZipFile:
    """An open archive for each process: workers that shared one file position would read each other's bytes.

    One for each stamp too: an archive that was replaced is another one.
    """
    return zipfile.ZipFile(path)


def open_folder(path: Path, source: str, memo: Memo) -> ImageSet:
    """The images below a folder, sorted by path. Raises GanevalError where there are none."""
    files = sorted(_files_below(path))
    images = [file for file in files if os.path.splitext(file)[1].lower() in EXTENSIONS]
    for file in sorted(set(files) - set(images)):
        # To a folder of images, perhaps: a class that is left out moves every number.
        if os.path.islink(link := path / file) and not os.path.exists(link):
            raise GanevalError(f"the link {link} leads to {os.readlink(link)}, which is not there; mend or remove it")
    if not images:
        raise _no_images(source, files)
    labels, names = _class_folders(images)
    reader = FolderReader(path, tuple(images), memo)
    return ImageSet(source, reader, all_rows(reader), labels, names)


def _files_below(root: Path) -> Iterator[str]:
    """Relative paths of all files, links followed, hidden ones left out; a link to a folder above it ends there.

    Raises GanevalError for a folder that can't be read.
    """
    above: dict[str, frozenset[tuple[int, int]]] = {}
    for folder, below, files in os.walk(root, onerror=_closed, followlinks=True):
        facts = os.stat(folder)
        itself, outer = (facts.st_dev, facts.st_ino), above.get(os.path.dirname(folder), frozenset())
        if itself in outer:
            below.clear()
            continue
        above[folder] = outer | {itself}
        below[:] = [name for name in below if not _hidden(name)]
        inside = os.path.relpath(folder, root)
        for name in files:
            if not _hidden(name):
                yield name if inside == os.curdir else os.path.join(inside, name)


def _closed(error: OSError) -> None:
    # A class folder that is left out moves every number.
    raise GanevalError(f"can't open the folder {error.filename}: {error.strerror}; mend its permissions")


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def open_zip(path: Path, source: str, memo: Memo) -> ImageSet:
    """The images in a zip, sorted by name; labels from StyleGAN's dataset.json, else from class folders.

    Raises GanevalError for a broken or encrypted archive, members that point outside it, and bombs.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
            _check_members(infos, source)
            listed = archive.read("dataset.json") if "dataset.json" in archive.namelist() else None
    except GanevalError:
        raise
    except Exception as error:
        # zipfile and its decompressors raise what they like for damaged bytes.
        raise GanevalError(f"can't read the zip {source}: {said(error)}; make it again") from None
    files = sorted(info.filename for info in infos if not any(map(_hidden, PurePosixPath(info.filename).parts)))
    images = [file for file in files if PurePosixPath(file).suffix.lower() in EXTENSIONS]
    if not images:
        raise _no_images(source, files)
    # StyleGAN's folders are shards, not classes.
    labels, names = _class_folders(images) if listed is None else _dataset_json(listed, images, source)
    reader = ZipReader(path, tuple(images), memo)
    return ImageSet(source, reader, all_rows(reader), labels, names)


def _check_members(infos: list[zipfile.ZipInfo], source: str) -> None:
    """Before any is unpacked."""
    check_names([info.filename for info in infos], source)
    for info in infos:
        parts = PurePosixPath(info.filename.replace("\\", "/")).parts
        if ".." in parts or info.filename.startswith(("/", "\\")):
            raise GanevalError(f"{source} has the member {info.filename!r}, which points outside it; make it again")
        if info.flag_bits & 0x1:
            raise GanevalError(f"{source} is encrypted ({info.filename!r}); unpack it and give the folder")
        if info.file_size > LARGEST_MEMBER:
            size = f"{info.file_size / 2**30:.1f} GiB"
            raise GanevalError(f"{source}: {info.filename!r} unpacks to {size}, more than any image; is it a zip bomb?")


def _no_images(source: str, files: list[str]) -> GanevalError:
    known = "png, jpg, bmp, webp, tif, gif, ppm"
    if not files:
        return GanevalError(f"{source} is empty; it should hold images ({known})")
    kinds = Counter(PurePosixPath(file).suffix.lower() or "no extension" for file in files)
    found = ", ".join(f"{n} x {kind}" for kind, n in kinds.most_common(3))
    return GanevalError(f"{source} holds no images ({known}) but {found}; name the folder that holds them")


def _class_folders(images: list[str]) -> tuple[Tensor | None, tuple[str, ...]]:
    """Labels where every image lies in a folder of the top level, and there are several such folders."""
    tops = [os.path.normpath(image).split(os.sep, 1) for image in images]
    names = sorted({parts[0] for parts in tops})
    if any(len(parts) < 2 for parts in tops) or len(names) < 2:
        return None, ()
    number = {name: i for i, name in enumerate(names)}
    return as_labels([number[parts[0]] for parts in tops]), tuple(names)


def _whole(label: float) -> int:
    if int(label) != label or not -(2**63) <= label < 2**63:
        raise ValueError(f"{label} is no whole number of 64 bits")
    return int(label)


def _dataset_json(text: bytes, images: list[str], source: str) -> tuple[Tensor | None, tuple[str, ...]]:
    """StyleGAN's labels, {"labels": [[file, label], ...]}, which may be null.

    A label's name is that of its folder, where each label has one folder and each folder one label.
    """
    try:
        listed = json.loads(text).get("labels")
        pairs = {(str(file), _whole(label)) for file, label in listed or ()}
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        form = '{"labels": [["file", whole number], ...]}'
        raise GanevalError(f"dataset.json in {source} is not {form}; mend it") from None
    if not pairs:
        return None, ()
    by_file = dict(pairs)
    if len(by_file) < len(pairs):
        twice = next(file for file, n in Counter(file for file, _ in sorted(pairs)).items() if n > 1)
        raise GanevalError(f"dataset.json in {source} gives {twice!r} several labels; mend it")
    missing = [image for image in images if image not in by_file]
    if missing:
        raise GanevalError(f"dataset.json in {source} has no label for {len(missing)} images, {missing[0]!r} the first")
    labels = [by_file[image] for image in images]
    placed = {(label, PurePosixPath(image).parts[0]) for label, image in zip(labels, images, strict=True)}
    folders = dict(sorted(placed))
    named = len(folders) == len(placed) == len(set(folders.values())) and list(folders) == list(range(len(folders)))
    return as_labels(labels), tuple(folders.values()) if named and len(placed) > 1 else ()
