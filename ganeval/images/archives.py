"""Zip archives, of which an .npz is one: that no member hides another, and that each is what its checksum says."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from ganeval.errors import GanevalError, said
from ganeval.images.digests import Stamp


def check_names(names: Iterable[str], source: str) -> None:
    """Raises GanevalError for a name that several members have: by name only the last of them is ever read."""
    for name, times in Counter(names).items():
        if times > 1:
            raise GanevalError(f"{source} has {times} members called {name!r}; make it again with a name for each")


@lru_cache(maxsize=16)
def check_sums(path: Path, opened: Stamp | None) -> None:
    """Raises GanevalError where a member is not what its checksum says; of an archive with one stamp it looks once.

    For what is mapped into memory: that is read past zipfile, which compares the checksums of what it reads itself.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except Exception as error:
        # zipfile and its decompressors raise what they like for damaged bytes.
        raise GanevalError(f"can't read {path}: {said(error)}; make the file again") from None
    if damaged:
        raise GanevalError(f"can't read {path}: {damaged!r} is not what its checksum says; make the file again")
