"""What the cache trusts of files: an unchanged one is not read again, a changed one is, and --paranoid reads all."""

from __future__ import annotations

import builtins
import multiprocessing
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image

import ganeval
from ganeval.cli.options import settings_options
from ganeval.files import cache_dir, sha256_file
from ganeval.images import arrays, digests, folders, open_images
from ganeval.images.digests import Memo, Stamp, stamp_of
from ganeval.settings import Settings

PIXELS = np.random.RandomState(0).randint(0, 256, (150, 8, 8, 3), dtype=np.uint8)
FAST = {"extractor": "pixels:4", "metrics": ["fid"]}


def save(folder: Path, pixels: np.ndarray = PIXELS) -> Path:
    """Bitmaps, whose size does not depend on their pixels."""
    folder.mkdir()
    for i, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f"{i:03}.bmp")
    return folder


def key(source: Path, **options: bool) -> str:
    return open_images(source, **options).content_key()


def alter(path: Path) -> None:
    """Changes one byte in place, and puts the time of the last write back."""
    times = path.stat()
    with open(path, "r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)[0]
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last ^ 1]))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def memos() -> list[Path]:
    return [path for path in (cache_dir() / "digests").rglob("*") if path.is_file()]


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that a test writes are old when their digests are made."""
    real = digests.time.time_ns
    monkeypatch.setattr(digests.time, "time_ns", lambda: real() + 10 * digests.SETTLED)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of all image files opened to be read so far."""
    names: list[str] = []
    real = builtins.open

    def counting(file, mode="r", *args, **kwargs):
        if str(file).endswith(".bmp") and mode == "rb":
            names.append(Path(file).name)
        return real(file, mode, *args, **kwargs)

    monkeypatch.setattr(builtins, "open", counting)
    return names


@pytest.fixture
def without_ctime(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that keeps no time of the last change, such as FAT."""

    def stamp(path: str | Path) -> Stamp | None:
        found = stamp_of(path)
        return found and (found[0], found[1], found[1], found[3])

    monkeypatch.setattr(folders, "stamp_of", stamp)


# -- what is not read again


@pytest.mark.usefixtures("later")
def test_unchanged_files_are_not_opened_again(tmp_path: Path, opened: list[str]) -> None:
    folder, real = save(tmp_path / "a"), save(tmp_path / "r", 255 - PIXELS)
    first = ganeval.score(folder, real, **FAST)
    assert len(opened) == 4 * len(PIXELS)  # for the digest and for the pixels, in both folders
    opened.clear()
    again = ganeval.score(folder, real, **FAST)
    assert opened == []
    assert (again.samples, again["fid"]) == (first.samples, first["fid"])


@pytest.mark.usefixtures("later")
def test_only_what_is_new_is_read(tmp_path: Path, opened: list[str]) -> None:
    folder = save(tmp_path / "a")
    open_images(folder).subset(range(20)).content_key()
    assert len(opened) == 20
    key(folder)
    assert len(opened) == len(PIXELS)
    Image.fromarray(PIXELS[0]).save(folder / "new.bmp")
    opened.clear()
    key(folder)
    assert opened == ["new.bmp"]


@pytest.mark.usefixtures("later")
def test_digests_are_made_once_for_an_opened_set(tmp_path: Path, opened: list[str]) -> None:
    images = open_images(save(tmp_path / "a"), cache=False)
    images.content_key()
    opened.clear()
    images.subset(range(5)).content_key()
    assert opened == []


@pytest.mark.usefixtures("later")
def test_a_renamed_copy_finds_the_features(tmp_path: Path) -> None:
    ganeval.extract(save(tmp_path / "a"), "pixels:4")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    (tmp_path / "a").rename(tmp_path / "c")
    for name in ("b", "c"):
        ganeval.extract(tmp_path / name, "pixels:4")
    assert len(list((cache_dir() / "features").iterdir())) == 1


@pytest.mark.usefixtures("later")
def test_a_place_has_one_memo_which_forgets_deleted_files(tmp_path: Path) -> None:
    folder = save(tmp_path / "a")
    key(folder)
    for path in list(folder.iterdir())[5:]:
        path.unlink()
    Image.fromarray(PIXELS[0]).save(folder / "new.bmp")
    key(folder)
    key(folder / ".." / "a")
    (only,) = memos()
    assert only.read_text().count(".bmp") == 6


@pytest.mark.usefixtures("later")
def test_without_a_cache_digests_are_neither_taken_nor_kept(tmp_path: Path, opened: list[str]) -> None:
    folder = save(tmp_path / "a")
    ganeval.score(folder, **FAST | {"metrics": ["vendi"]}, cache=False)
    assert memos() == []
    key(folder)
    opened.clear()
    key(folder, cache=False)
    assert len(opened) == len(PIXELS)


# -- what is


@pytest.mark.parametrize("part", ["size", "last write", "last change", "inode"])
def test_a_stamp_that_differs_in_any_part_is_another(tmp_path: Path, part: str) -> None:
    before = [192, 10**18, 10**18, 7]
    after = [n + (part == name) for n, name in zip(before, ("size", "last write", "last change", "inode"), strict=True)]
    contents = [b"a" * 32, b"b" * 32]

    def digest(stamp: list[int], content: bytes) -> bytes:
        return Memo(tmp_path, None).digests(["x"], [0], lambda _: content, lambda _: tuple(stamp))[0]

    assert digest(before, contents[0]) == contents[0]
    assert digest(before, contents[1]) == contents[0]
    assert digest(after, contents[1]) == contents[1]


def replaced(path: Path) -> None:
    """By another file of the same size and time of writing, as `rsync -t` does."""
    times, other = path.stat(), path.with_name("other")
    other.write_bytes(path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1]))
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    other.replace(path)


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("change", [alter, replaced])
def test_a_file_changed_under_its_size_and_time_is_read(tmp_path: Path, change: Callable[[Path], None]) -> None:
    folder = save(tmp_path / "a")
    before, facts = key(folder), (folder / "007.bmp").stat()
    change(folder / "007.bmp")
    assert (facts.st_size, facts.st_mtime_ns) == (
        (folder / "007.bmp").stat().st_size, (folder / "007.bmp").stat().st_mtime_ns
    )  # fmt: skip
    after = key(folder)
    assert before != after == key(folder, cache=False)
    assert key(folder) == after


def test_a_file_changed_within_a_tick_of_the_clock_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stamp(path: str | Path) -> Stamp | None:
        found = stamp_of(path)
        tick = digests.SETTLED
        return found and (found[0], found[1] // tick * tick, found[2] // tick * tick, found[3])

    monkeypatch.setattr(folders, "stamp_of", stamp)
    folder = save(tmp_path / "a")
    before = key(folder)
    alter(folder / "000.bmp")
    assert key(folder) != before


@pytest.mark.usefixtures("later", "without_ctime")
def test_what_the_default_misses_paranoid_sees(tmp_path: Path) -> None:
    """Where the file system keeps no time of the last change, a rewrite that puts the other time back is missed."""
    folder = save(tmp_path / "a")
    before = key(folder)
    alter(folder / "007.bmp")
    assert key(folder) == before
    after = key(folder, paranoid=True)
    assert before != after == key(folder, cache=False)
    assert key(folder) == after  # what was seen is kept


@pytest.mark.usefixtures("later")
def test_paranoid_sees_what_is_written_through_a_memory_map(tmp_path: Path) -> None:
    """Linux need not move a file's times when a page that was written before is written again."""
    np.save(tmp_path / "a.npy", PIXELS)
    writer = np.load(tmp_path / "a.npy", mmap_mode="r+")
    writer[3] ^= 1
    before = key(tmp_path / "a.npy")
    writer[3] ^= 1
    assert key(tmp_path / "a.npy", paranoid=True) != before


@pytest.mark.usefixtures("later", "without_ctime")
@pytest.mark.parametrize("run", [
    lambda folder, real, **options: ganeval.score(folder, real, **FAST, **options).samples.sha256,
    lambda folder, real, **options: ganeval.compare(folder, real, PIXELS // 2, **FAST, **options).a.sha256,
    lambda folder, _, **options: ganeval.extract(folder, "pixels:4", **options).pooled.sum(),
    lambda folder, _, **options: ganeval.audit(
        folder, **FAST, n=50, repeats=4, experiments=["noise"], **options).sets["real"].sha256,
], ids=["score", "compare", "extract", "audit"])  # fmt: skip
def test_every_function_that_reads_images_can_be_paranoid(tmp_path: Path, run: Callable) -> None:
    folder, real = save(tmp_path / "a"), save(tmp_path / "r", 255 - PIXELS)
    before = run(folder, real)
    alter(folder / "007.bmp")
    assert run(folder, real) == before
    assert run(folder, real, paranoid=True) != before


@pytest.mark.parametrize("name", ["score", "collapse", "compare", "audit", "reference"])
def test_every_command_that_reads_images_can_be_paranoid(name: str) -> None:
    from ganeval.cli import cli

    assert "--paranoid" in {option for parameter in cli.commands[name].params for option in parameter.opts}


def test_the_option_reaches_the_settings() -> None:
    seen: list[Settings] = []
    command = click.command()(settings_options(lambda settings, quiet: seen.append(settings)))
    for arguments in ([], ["--paranoid"]):
        command.main(arguments, standalone_mode=False)
    assert [settings.paranoid for settings in seen] == [False, True]


# -- archives and arrays


def write_archive(path: Path, pixels: np.ndarray) -> None:
    save(path.parent / "members", pixels)
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted((path.parent / "members").iterdir()):
            archive.write(file, file.name)
    shutil.rmtree(path.parent / "members")


WRITERS = {
    ".zip": write_archive,
    ".npy": np.save,
    ".npz": lambda path, pixels: np.savez(path, arr_0=pixels),
}


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("kind", WRITERS)
def test_archives_and_arrays_are_known_by_their_file(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"set{kind}"
    WRITERS[kind](path, PIXELS)
    before = key(path)
    with monkeypatch.context() as unread:
        unread.setattr(arrays.ArrayReader, "_digest", None)
        unread.setattr(folders.ZipReader, "_bytes", None)
        assert key(path) == before
    # Replaced in the same process, by one whose members lie where the old ones lay.
    times = path.stat()
    WRITERS[kind](tmp_path / f"other{kind}", np.concatenate([PIXELS[:-1], PIXELS[:1]]))
    os.utime(tmp_path / f"other{kind}", ns=(times.st_atime_ns, times.st_mtime_ns))
    (tmp_path / f"other{kind}").replace(path)
    after = key(path)
    assert before != after == key(path, cache=False)
    assert key(path) == key(path, paranoid=True) == after
    assert len(memos()) == 1


# -- the memo itself


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("damage", ["truncated", "empty", "foreign", "a digit", "older"])
def test_a_damaged_memo_counts_as_absent(tmp_path: Path, damage: str, opened: list[str]) -> None:
    folder = save(tmp_path / "a")
    before = key(folder)
    (memo,) = memos()
    whole = memo.read_bytes()
    digest = sha256_file(folder / "007.bmp").encode()
    memo.write_bytes({
        "truncated": whole[:-20], "empty": b"", "foreign": b'{"007.bmp": "\xff"}',
        "a digit": whole.replace(digest, (b"1" if digest[:1] == b"0" else b"0") + digest[1:]),
        "older": whole.partition(b"\n")[2],
    }[damage])  # fmt: skip
    opened.clear()
    assert key(folder) == before
    assert len(opened) == len(PIXELS)
    assert memo.read_bytes() == whole


def _digest_half(folder: Path, half: int, expected: list[bytes]) -> None:
    for _ in range(30):
        rows = range(half, len(PIXELS), 2)
        assert open_images(folder, paranoid=True).subset(rows).digests() == expected[half::2]
        assert open_images(folder).digests() == expected


@pytest.mark.usefixtures("later")
def test_two_processes_at_once(tmp_path: Path, opened: list[str]) -> None:
    folder = save(tmp_path / "a")
    expected = open_images(folder, cache=False).digests()
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_digest_half, args=(folder, half, expected)) for half in (0, 1)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    opened.clear()
    assert open_images(folder).digests() == expected
    assert opened == []
    assert [path.suffix for path in memos()] == [".memo"]


@pytest.mark.usefixtures("later")
def test_a_cache_that_can_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = save(tmp_path / "a")
    before = key(folder)
    (tmp_path / "file").touch()
    monkeypatch.setenv("GANEVAL_CACHE", str(tmp_path / "file"))
    assert key(folder) == before
    assert "going on without a cache" in caplog.text


@pytest.mark.usefixtures("later", "without_ctime")
def test_a_file_that_could_not_be_read_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save(tmp_path / "a")

    def refuse(path: str) -> str:
        raise PermissionError(path)

    with monkeypatch.context() as denied:
        denied.setattr(folders, "sha256_file", refuse)
        key(folder)
    assert key(folder) == key(folder, cache=False)
