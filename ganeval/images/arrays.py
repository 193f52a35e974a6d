"""Images in arrays: tensors and arrays in memory, .npy and .npz files."""

from __future__ import annotations

import hashlib
import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import PIL.Image
import torch
from torch import Tensor

from ganeval.errors import GanevalError, said
from ganeval.images import Image, ImageSet, PassingError, all_rows, as_labels
from ganeval.images.archives import check_names, check_sums
from ganeval.images.batches import rescaled
from ganeval.images.decode import FAULTS, converted
from ganeval.images.digests import UNREADABLE, Memo, stamp_of

CHUNK = 1024
FLOATS_GUESSED = "floats in [0, 1] were taken as 0 to 255 (x255, rounded); save uint8 to leave no doubt"


@dataclass(frozen=True)
class ArrayReader:
    """Rows of an array (N, H, W, C), uint8, or floats in [0, 1]; memo: None for an array that is in no file."""

    source: str
    array: np.ndarray
    memo: Memo | None = None

    def __len__(self) -> int:
        return len(self.array)

    def name(self, i: int) -> str:
        return f"{self.source}[{i}]"

    def read(self, i: int) -> Image:
        row = self._row(i)
        treatments = []
        if row.dtype != np.uint8:
            row = np.rint(row * 255.0).astype(np.uint8)
            treatments.append("floats in [0, 1] taken as 0 to 255")
        channels = row.shape[-1]
        if channels == 1:
            row = np.repeat(row, 3, axis=-1)
            treatments.append("grey repeated to RGB")
        elif channels == 4:
            treatments.append("alpha dropped")
        pixels = torch.from_numpy(np.ascontiguousarray(row[..., :3].transpose(2, 0, 1)))
        return Image(pixels, "array", tuple(treatments))

    def digests(self, rows: Sequence[int]) -> list[bytes]:
        if self.memo is None:
            return [self._digest(i) for i in rows]
        return self.memo.digests(self._names(), rows, self._digest)

    def changed(self, rows: Sequence[int]) -> list[int]:
        return [] if self.memo is None else self.memo.changed(self._names(), rows)

    def _names(self) -> list[str]:
        return [str(i) for i in range(len(self))]

    def _row(self, i: int) -> np.ndarray:
        """A copy of a row, for those of a memory-mapped file can't be written to."""
        if self.memo and _shorter(self.memo):
            # As np.save makes it before it writes anew. What was mapped is gone, and to read there ends the process.
            raise PassingError(
                f"can't read {self.name(i)}: the file has become shorter since; score it when it is written"
            )
        return np.array(self.array[i])

    def _digest(self, i: int) -> bytes:
        if self.memo and self.memo.place.suffix.lower() == ".npz":
            # Here, and not on opening: where all digests are kept the file is what it was.
            check_sums(self.memo.place, self.memo.opened)
        try:
            row = self._row(i)
        except PassingError:
            return UNREADABLE  # `read` says so
        return hashlib.sha256(f"{row.dtype.str}{row.shape}".encode() + row.tobytes()).digest()


def _shorter(memo: Memo) -> bool:
    """Whether the file that was opened is shorter now; another in its place does not take it away."""
    now, then = stamp_of(memo.place), memo.opened
    return now is not None and then is not None and now[0] < then[0] and now[-1] == then[-1]


def from_list(images: Sequence[Any]) -> ImageSet:
    """Pictures one by one, of one size: PIL images, tensors (C, H, W), or arrays (H, W[, C])."""
    rows = [_pixels(image, i) if isinstance(image, PIL.Image.Image) else image for i, image in enumerate(images)]
    kinds = {Tensor if isinstance(row, Tensor) else type(row) for row in rows}
    if not rows or kinds not in ({Tensor}, {np.ndarray}):
        got = ", ".join(sorted(kind.__name__ for kind in kinds)) or "nothing"
        raise GanevalError(f"a list of images holds PIL images, tensors or arrays, all of one kind, got {got}")
    if len(shapes := {tuple(row.shape) for row in rows}) > 1:
        some = ", ".join(map(str, sorted(shapes)[:2]))
        raise GanevalError(
            f"a list of images holds several sizes ({some}); bring them to one, or save them to a folder"
        )
    try:
        return from_memory(torch.stack(rows) if kinds == {Tensor} else np.stack(rows))
    except RuntimeError as error:
        raise GanevalError(f"a list of images can't be one tensor: {said(error)}; bring them to one device") from None


def _pixels(image: PIL.Image.Image, i: int) -> Tensor:
    try:
        return converted(image).pixels
    except FAULTS as error:
        raise GanevalError(f"can't read image {i} of the list: {said(error)}") from None


def from_memory(images: Tensor | np.ndarray) -> ImageSet:
    """A tensor (N, C, H, W) or an array (N, H, W[, C])."""
    if isinstance(images, Tensor):
        if images.is_nested:
            raise GanevalError("a tensor of images must be (N, 3, H, W), got a nested one; give a stack of one size")
        if images.ndim != 4 or images.shape[1] not in (1, 3, 4):
            raise GanevalError(f"a tensor of images must be (N, 3, H, W), got {tuple(images.shape)}")
        try:
            images = images.detach().cpu()
            # numpy has no bfloat16.
            images = images.float() if images.dtype == torch.bfloat16 else images
            array = images.permute(0, 2, 3, 1).numpy()
        except (TypeError, RuntimeError) as error:
            # Sparse, quantised, of 8-bit floats, or without values, as on the device meta.
            raise GanevalError(f"can't read a tensor of images: {said(error)}; give a dense one of uint8") from None
        return from_array(array, "tensor")
    return from_array(images, "array")


def from_array(array: np.ndarray, source: str, labels: np.ndarray | None = None, memo: Memo | None = None) -> ImageSet:
    """An array (N, H, W) or (N, H, W, 1, 3 or 4) of uint8, integers in 0..255, or floats in [0, 1].

    Raises GanevalError for another shape, NaN, or values outside the range, with how to rescale them.
    """
    if array.dtype == object:
        raise GanevalError(f"{source} holds Python objects, not numbers; save one uint8 array (N, H, W, 3)")
    if array.ndim == 3 and array.shape[2] in (3, 4) and array.shape[1] > 4:
        raise GanevalError(f"{source} has shape {array.shape}, as one colour image has; give x[None], or (N, H, W, 3)")
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4 or array.shape[-1] not in (1, 3, 4):
        hint = "; transpose(0, 2, 3, 1) makes it so" if array.ndim == 4 and array.shape[1] in (1, 3, 4) else ""
        raise GanevalError(f"{source} has shape {array.shape}; images in an array are (N, H, W, 3){hint}")
    if not array.size:
        raise GanevalError(f"{source} holds no image: its shape is {array.shape}")
    notes: tuple[str, ...] = ()
    if array.dtype != np.uint8:
        low, high = _range(array, source)
        if np.issubdtype(array.dtype, np.floating):
            _check_floats(low, high, source)
            notes = (f"{source}: {FLOATS_GUESSED}",)
        elif low < 0 or high > 255:
            raise GanevalError(f"{source} holds {array.dtype} from {low:g} to {high:g}; scale it to uint8, 0 to 255")
        else:
            array = array.astype(np.uint8)
    elif _is_dark(array):
        notes = (f"{source}: all values are 0 or 1; of floats in [0, 1] the images are (x * 255).round()",)
    if labels is not None and labels.shape != (len(array),):
        raise GanevalError(f"{source} has {len(array)} images and labels of shape {labels.shape}; they must match")
    reader = ArrayReader(source, array, memo)
    return ImageSet(source, reader, all_rows(reader), None if labels is None else as_labels(labels), notes=notes)


def _range(array: np.ndarray, source: str) -> tuple[float, float]:
    """Smallest and largest value, a chunk at a time, so that a memory-mapped file is streamed."""
    if not (np.issubdtype(array.dtype, np.floating) or np.issubdtype(array.dtype, np.integer)):
        raise GanevalError(f"{source} holds {array.dtype}; images are uint8, or floats in [0, 1]")
    chunks = [array[i : i + CHUNK] for i in range(0, len(array), CHUNK)]
    # Python's own min and max pass over a NaN that is not in the first chunk.
    low, high = np.min([chunk.min() for chunk in chunks]), np.max([chunk.max() for chunk in chunks])
    if not (np.isfinite(low) and np.isfinite(high)):
        raise GanevalError(f"{source} holds NaN or infinity; look for images that went wrong when they were made")
    return float(low), float(high)


def _check_floats(low: float, high: float, source: str) -> None:
    if not (low >= 0 and high <= 1):
        mend = rescaled(low, high)
        raise GanevalError(f"{source} holds floats from {low:.6g} to {high:.6g}, outside [0, 1]; {mend}")


def _is_dark(array: np.ndarray) -> bool:
    """Whether uint8 images are all 0 and 1, as floats in [0, 1] become by a cast."""
    chunks = (array[i : i + CHUNK] for i in range(0, len(array), CHUNK))
    return all(chunk.max() <= 1 for chunk in chunks)


def open_npy(path: Path, source: str, memo: Memo) -> ImageSet:
    """An .npy file of images, memory-mapped."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:
        # As below: of damaged bytes numpy raises what it likes.
        raise _unreadable(source, error) from None
    if not isinstance(array, np.ndarray):
        raise GanevalError(f"{source} is an .npz by its content; rename it")
    return from_array(array, source, memo=memo)


def open_npz(path: Path, source: str, memo: Memo) -> ImageSet:
    """An .npz of images: `arr_0` (N, H, W, C) and perhaps labels `arr_1` (N,), as guided-diffusion writes it."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
            check_names(members, source)
            names = [name.removesuffix(".npy") for name in members if name.endswith(".npy")]
            if {"mu", "sigma"} <= set(names) and "arr_0" not in names:
                raise GanevalError(f"{source} holds statistics, not images, which only a reference (--ref) can be")
            if "arr_0" not in names and len(names) != 1:
                found = ", ".join(sorted(name.removesuffix(".npy") for name in members)) or "nothing"
                raise GanevalError(f"{source} holds {found}; the images must be arr_0")
            first = "arr_0" if "arr_0" in names else names[0]
            images = mapped_member(path, archive, first)
            labels = mapped_member(path, archive, "arr_1") if "arr_1" in names else None
        if not memo.cache:
            check_sums(path, memo.opened)  # perhaps no digest will be asked for
    except GanevalError:
        raise
    except Exception as error:
        # zipfile, its decompressors and numpy raise what they like for damaged bytes.
        raise _unreadable(source, error) from None
    if labels is None or (labels.ndim == 1 and np.issubdtype(labels.dtype, np.integer)):
        return from_array(images, source, labels, memo)
    note = f"{source}: arr_1 is {labels.dtype} {labels.shape}, no labels: those are whole numbers (N,)"
    opened = from_array(images, source, None, memo)
    return replace(opened, notes=(*opened.notes, note))


def _unreadable(source: str, error: Exception) -> GanevalError:
    if any(word in str(error) for word in ("allow_pickle", "Object arrays", "Python objects")):
        return GanevalError(f"{source} holds pickled objects, which could run code; save one plain uint8 array")
    return GanevalError(f"can't read {source}: {said(error)}; make the file again")


def mapped_member(path: Path, archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """An array of an .npz: memory-mapped where it is stored uncompressed, so that 10 GB need no 10 GB of memory.

    Raises ValueError where the member does not hold as many bytes as its header says: the next ones are of others. Of
    damaged files zipfile and numpy raise more.
    """
    info = archive.getinfo(f"{name}.npy")
    with archive.open(info) as file:
        shape, fortran, dtype = _header(file)
        if not dtype.hasobject and file.tell() + math.prod(shape) * dtype.itemsize != info.file_size:
            raise ValueError(f"{name} should be {dtype} {shape}, and is {info.file_size} bytes")
        if info.compress_type != zipfile.ZIP_STORED or dtype.hasobject or 0 in shape:
            with archive.open(info) as again:
                return np.lib.format.read_array(again, allow_pickle=False)
        header_size = file.tell()
    with open(path, "rb") as raw:
        raw.seek(info.header_offset + 26)
        name_size, extra_size = np.frombuffer(raw.read(4), "<u2").tolist()
    start = info.header_offset + 30 + name_size + extra_size + header_size
    return np.memmap(path, dtype, "r", start, shape, "F" if fortran else "C")


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    return np.lib.format.read_array_header_2_0(file)
