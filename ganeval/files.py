"""Where files go and how they get there whole: the cache folder, atomic writes, content hashes."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ganeval.errors import GanevalError

UMASK = os.umask(0o077)
"""What new files are not allowed. It can only be read by setting it, which is every thread's: so once."""
os.umask(UMASK)


def cache_dir() -> Path:
    """The folder for features, results and weights: GANEVAL_CACHE, else ganeval/ in the user's cache folder.

    Raises GanevalError where there is no home folder to find it in.
    """
    users = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "ganeval"
    path = Path(os.environ.get("GANEVAL_CACHE") or users)
    try:
        return path.expanduser()
    except RuntimeError:
        raise GanevalError(f"no home folder here for the cache {path}; set GANEVAL_CACHE to a folder") from None


def offline() -> bool:
    """Whether GANEVAL_OFFLINE forbids the network."""
    return os.environ.get("GANEVAL_OFFLINE", "") not in ("", "0")


def in_place(path: str | Path) -> bool:
    """Whether it is a device or a pipe, which is written to as it is."""
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)


@contextmanager
def atomic_write(path: str | Path) -> Iterator[BinaryIO]:
    """Opens a binary file that appears at `path` whole, when the block ends, or not at all.

    The bytes go to a temporary file in the same folder, are synced, and are renamed over `path`,
    so a reader, a second writer, Ctrl-C, kill -9 or a full disk never meets half a file. A link stays a link, to a new
    file; a device or a pipe, such as /dev/stdout, is written to as it is.

    Raises OSError as the system gives it (no space, no permission).
    """
    if in_place(path):
        with open(path, "wb") as file:
            yield file
        return
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    # A whole name of up to 255 bytes leaves no room for what makes it another.
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.", suffix=".partial")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files private; a result is as readable as any file the user writes.
        os.chmod(temporary, 0o666 & ~UMASK)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextmanager
def result_file(path: str | Path) -> Iterator[BinaryIO]:
    """Opens a file that the user asked for as `atomic_write` does.

    Raises GanevalError naming the file and the system's reason.
    """
    try:
        with atomic_write(path) as file:
            yield file
    except OSError as error:
        raise _unwritable(path, error) from error


def check_place(path: Path | None) -> None:
    """Raises GanevalError where a result can't be written to `path`: before hours of work, not after them."""
    if path is None or in_place(path):
        return
    try:
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        folder = Path(os.path.realpath(path)).parent
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: str | Path, error: OSError) -> GanevalError:
    return GanevalError(f"could not write {path}: {error.strerror}; choose another place")


def write_result(path: str | Path, content: bytes) -> None:
    """Writes a file that the user asked for, whole or not at all. Raises GanevalError as `result_file`."""
    with result_file(path) as file:
        file.write(content)


def sha256_file(path: str | Path) -> str:
    """The sha256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    # hashlib.file_digest clears 256 KiB for each file, more work than a small image is.
    with open(path, "rb", buffering=0) as file:
        while piece := file.read(2**20):
            digest.update(piece)
    return digest.hexdigest()
