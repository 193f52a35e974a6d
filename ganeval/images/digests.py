"""The digests of image files that earlier runs have read, so that files which did not change are not read again."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ganeval import cache as caches
from ganeval.files import cache_dir, sha256_file

Stamp = tuple[int, int, int, int]
"""Of a file: size, time of the last write, time of the last change of any kind (ns), and inode."""

SETTLED = 2 * 10**9
"""Nanoseconds. Two writes within a tick of the file system's clock leave equal times, so the digest of a file that is
younger than a tick is not kept; FAT has the longest, 2 s."""

UNREADABLE = b"unreadable"
"""In place of the digest of a file that can't be read; never kept."""

FORMAT = b"ganeval.digests/1\n"


def stamp_of(path: str | Path) -> Stamp | None:
    """What shows a change of a file without reading it; None where there is no file to look at.

    A program can set the time of the last write back, and many do, but not that of the last change.
    """
    try:
        facts = os.stat(path)
    except (OSError, ValueError):  # the latter for a name that no file can have
        return None
    return facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino


@dataclass(frozen=True)
class Memo:
    """The digests of the images in one folder or file, by name, in one file of the cache folder.

    opened: the stamp of the place, taken before anything in it was read.
    cache: False neither looks for earlier digests nor keeps new ones. paranoid: keeps, but trusts none of them.
    known: those of this run, each made once; stamps: of the files they are of, taken before these were read.
    """

    place: Path
    opened: Stamp | None
    cache: bool = True
    paranoid: bool = False
    known: dict[str, bytes] = field(default_factory=dict, repr=False, compare=False)
    stamps: dict[str, Stamp | None] = field(default_factory=dict, repr=False, compare=False)

    def digests(
        self, names: Sequence[str], rows: Sequence[int], make: Callable[[int], bytes],
        stamp: Callable[[int], Stamp | None] | None = None,
    ) -> list[bytes]:  # fmt: skip
        """The digests of `rows`: kept ones where the stamp is as it was, else what `make` reads.

        names: of all images of the place. stamp: of the file of a row; without it all are in the file `place`.
        """
        missing = [i for i in rows if names[i] not in self.known]
        if missing:
            kept = self._load() if self.cache else {}
            new = self._made(kept, names, missing, make, stamp or (lambda _: self.opened))
            if new and self.cache:
                kept |= new
                self._save({name: kept[name] for name in names if name in kept})
        return [self.known[names[i]] for i in rows]

    def changed(
        self, names: Sequence[str], rows: Sequence[int], stamp: Callable[[int], Stamp | None] | None = None
    ) -> list[int]:
        """Those of `rows` of which a digest was made, and whose stamp is now another; arguments as of `digests`."""
        place = stamp_of(self.place)
        now = stamp or (lambda _: place)
        return [i for i in rows if names[i] in self.stamps and self.stamps[names[i]] != now(i)]

    def _made(
        self, kept: dict[str, str], names: Sequence[str], rows: Sequence[int], make: Callable[[int], bytes],
        stamp: Callable[[int], Stamp | None],
    ) -> dict[str, str]:  # fmt: skip
        """Fills `known`, and returns what is worth keeping of it: by name, the stamp and the digest as one line."""
        new: dict[str, str] = {}
        settled = time.time_ns() - SETTLED
        for i in rows:
            # Before the file is read: a change while it is read then shows as a stamp that no longer holds.
            now, name = stamp(i), names[i]
            self.stamps[name] = now
            then, _, digest = kept.get(name, "").rpartition(" ")
            written = " ".join(map(str, now or ()))
            trusted = now and written == then and not self.paranoid
            self.known[name] = found = bytes.fromhex(digest) if trusted else make(i)
            line = f"{written} {found.hex()}"
            if now and max(now[1:3]) < settled and found != UNREADABLE and line != kept.get(name):
                new[name] = line
        return new

    def _path(self) -> Path:
        return cache_dir() / "digests" / f"{caches.key_of(os.path.realpath(self.place))}.memo"

    def _load(self) -> dict[str, str]:
        """What was kept; nothing where the file is absent, damaged, or of another format."""
        try:
            content = caches.unsealed(self._path().read_bytes(), FORMAT)
        except OSError:
            return {}
        return json.loads(content) if content else {}

    def _save(self, lines: dict[str, str]) -> None:
        content = caches.sealed(json.dumps(lines).encode(), FORMAT)
        caches.keep(self._path(), lambda file: file.write(content))


def digest_of(
    path: str | Path, check: Callable[[Path, Stamp | None], object], *, cache: bool, paranoid: bool
) -> str:  # fmt: skip
    """The sha256 of a file that is no image, in hexadecimal, by the rules of `Memo`.

    check: raises for a damaged file, of which it gets the path and the stamp; asked wherever the file is read.
    """
    path = Path(os.path.expanduser(path))
    memo = Memo(path, stamp_of(path), cache, paranoid)

    def made(_: int) -> bytes:
        check(path, memo.opened)
        return bytes.fromhex(sha256_file(path))

    return memo.digests([""], [0], made)[0].hex()
