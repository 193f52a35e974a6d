"""Bad images and bad sources: one clear line that names the file, what was found, and the mend."""

from __future__ import annotations

import errno
import os
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

import ganeval
from ganeval import summarise
from ganeval.errors import BadImageError, GanevalError, UnobtainableError
from ganeval.extractors import load_extractor
from ganeval.features import _joined
from ganeval.images import Image, folders, open_images
from ganeval.images import decode as decoding
from ganeval.images.arrays import CHUNK
from ganeval.inference import run_extractor
from ganeval.settings import Settings
from tests.test_images import PIXELS, png, save, write_zip


def refusal(source: object, *words: str, **options: object) -> str:
    """The message with which a source is refused, which must be one line and hold the words."""
    with pytest.raises(GanevalError) as caught:
        open_images(source, **options)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message
    return message


def bad_image(path: Path, *words: str) -> None:
    images = open_images(path.parent)
    with pytest.raises(BadImageError) as caught:
        images[0]
    message = str(caught.value)
    assert "\n" not in message
    for word in (str(path), "--skip-bad", *words):
        assert word in message, message


# -- one bad image


@pytest.mark.parametrize("keep", [8, 60, 0.5, 0.9])
def test_a_truncated_png(tmp_path: Path, keep: float) -> None:
    whole = png(np.random.RandomState(0).randint(256, size=(64, 64, 3), dtype=np.uint8))
    path = tmp_path / "cut.png"
    path.write_bytes(whole[: int(keep if keep > 1 else keep * len(whole))])
    bad_image(path)


def test_a_truncated_jpeg(tmp_path: Path) -> None:
    path = save(tmp_path / "cut.jpg", PIL.Image.fromarray(PIXELS[0]).resize((200, 200)))
    path.write_bytes(path.read_bytes()[:1500])
    bad_image(path, "truncated")


@pytest.mark.parametrize("content", [b"", b"hello, this is text\n" * 20, b"\x89PNG\r\n\x1a\n" + b"\0" * 100])
def test_what_is_no_image(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "fake.png"
    path.write_bytes(content)
    bad_image(path)


def test_a_decompression_bomb(tmp_path: Path) -> None:
    for side in (10_000, 60_000):  # between Pillow's limit and twice that it only warns
        header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)

        def chunk(kind: bytes, data: bytes) -> bytes:
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

        path = tmp_path / "bomb.png"
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"x") + chunk(b"IEND", b""))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as in a program, where no warning is an error by itself
            bad_image(path, "decompression bomb")


@pytest.mark.parametrize(("number", "broken"), [(None, True), (errno.EINVAL, True), (errno.EOVERFLOW, True),
                                                (errno.EIO, False), (errno.EMFILE, False)])  # fmt: skip
def test_a_system_that_fails_is_no_broken_file(number: int | None, broken: bool) -> None:
    error = OSError("truncated") if number is None else OSError(number, os.strerror(number))
    assert (decoding.kind_of(error) is BadImageError) == broken
    assert issubclass(decoding.kind_of(error), BadImageError)


def test_floats_and_lab_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "f.tiff", PIL.Image.fromarray(np.random.rand(5, 5).astype(np.float32)))
    bad_image(path, "floating point", "8-bit RGB")


@pytest.mark.parametrize("value", [-1, 65536])
def test_grey_beyond_16_bits_is_refused(tmp_path: Path, value: int) -> None:
    path = save(tmp_path / "i.tiff", PIL.Image.fromarray(np.full((5, 5), value, np.int32)))
    bad_image(path, "exceed 16 bits", "8-bit RGB")


def test_a_file_that_vanished(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", PIL.Image.fromarray(PIXELS[0]))
    images = open_images(tmp_path)
    path.unlink()
    with pytest.raises(BadImageError, match=r"a\.png.*No such file"):
        images[0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", PIL.Image.fromarray(PIXELS[0]))
    path.chmod(0)
    bad_image(path, "Permission denied")


def test_skip_bad_leaves_out_counts_and_lists(tmp_path: Path) -> None:
    for i in range(4):
        save(tmp_path / f"{i}.png", PIL.Image.fromarray(PIXELS[i]))
    (tmp_path / "1.png").write_bytes(b"broken")
    with pytest.raises(BadImageError, match=r"1\.png"):
        ganeval.extract(tmp_path, "pixels:4")
    features = ganeval.extract(tmp_path, "pixels:4", skip_bad=True)
    assert len(features) == 3
    assert [Path(name).name for name in features.survey.skipped] == ["1.png"]
    # The cache now holds features without the bad image; they are no answer to a run that forbids bad images.
    with pytest.raises(BadImageError, match=r"1\.png"):
        ganeval.extract(tmp_path, "pixels:4")


@pytest.mark.parametrize("passing", [OSError(5, "Input/output error"), MemoryError()])
def test_what_was_left_out_for_a_passing_fault_is_read_again(
    tmp_path: Path, passing: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for i in range(4):
        save(tmp_path / f"{i}.png", PIL.Image.fromarray(PIXELS[i]))
    with monkeypatch.context() as failing:
        convert, left = decoding.converted, [passing]

        def once(image: PIL.Image.Image) -> Image:
            if left:
                raise left.pop()
            return convert(image)

        failing.setattr(decoding, "converted", once)
        assert len(ganeval.extract(tmp_path, "pixels:4", skip_bad=True, workers=0)) == 3
    assert caplog.text.count("features not cached") == 1
    assert len(ganeval.extract(tmp_path, "pixels:4", skip_bad=True)) == 4


def test_a_share_or_a_part_of_bad_images_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(5):
        save(tmp_path / "set" / f"{i}.png", PIL.Image.fromarray(PIXELS[i % 4]))
    whole = ganeval.extract(tmp_path / "set", "pixels:4")
    (tmp_path / "set/4.png").write_bytes(b"broken")
    monkeypatch.setattr(summarise, "PART", 2)
    settings = Settings(extractor="pixels:4", skip_bad=True)
    moments = summarise.reference_with(tmp_path / "set", tmp_path / "s.npz", settings)
    assert moments.n == 4
    assert torch.allclose(moments.mean, whole.pooled[:4].double().mean(0))
    shares = []
    for rows in ([4], [0, 2], [1, 3]):
        part = open_images(tmp_path / "set").subset(rows)
        net = load_extractor("pixels:4")
        found = run_extractor(part, net, "f", torch.device("cpu"), "fp32", 2, 0, True, None)
        shares.append((found.features, rows))
    joined = _joined(shares)
    assert torch.equal(joined.pooled, whole.pooled[:4])
    assert [Path(name).name for name in joined.survey.skipped] == ["4.png"]
    for path in (tmp_path / "set").iterdir():
        path.write_bytes(b"broken")
    with pytest.raises(GanevalError, match=r"0 image\(s\) are not enough"):
        summarise.reference_with(tmp_path / "set", tmp_path / "s.npz", settings)


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_pipe_or_device_is_no_image(tmp_path: Path, kind: str) -> None:
    save(tmp_path / "b.png", PIL.Image.fromarray(PIXELS[0]))
    if kind == "pipe":
        os.mkfifo(tmp_path / "a.png")
    else:
        (tmp_path / "a.png").symlink_to("/dev/zero")
    bad_image(tmp_path / "a.png", "is a pipe or device")
    assert len(ganeval.extract(tmp_path, "pixels:4", skip_bad=True)) == 1


def test_skip_bad_with_nothing_left(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"broken")
    with pytest.raises(GanevalError, match="none of the 1 images"):
        ganeval.extract(tmp_path, "pixels:4", skip_bad=True)


# -- bad sources


def test_an_empty_folder_and_one_without_images(tmp_path: Path) -> None:
    refusal(tmp_path, str(tmp_path), "is empty")
    (tmp_path / "a.txt").touch()
    (tmp_path / "b.heic").touch()
    refusal(tmp_path, "1 x .txt", "1 x .heic")


def test_what_does_not_exist(tmp_path: Path) -> None:
    refusal(tmp_path / "nothing", "does not exist")
    refusal("./no/such", "does not exist")
    refusal("mnst:test", "did you mean 'mnist'?")
    refusal("mnist", "mnist:train or mnist:test")
    refusal("mnist:tst", "did you mean 'test'?")
    refusal(tmp_path / "x.gz", "does not exist")
    (tmp_path / "x.gz").touch()
    refusal(tmp_path / "x.gz", ".zip, .npz or .npy")
    refusal(17, "int")


def test_a_data_set_that_is_not_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GANEVAL_DATA", raising=False)
    for options in ({}, {"data_root": tmp_path}):
        with pytest.raises(UnobtainableError, match=r"https?://.*--data-root FOLDER or GANEVAL_DATA"):
            open_images("cifar10:test", **options)


def test_a_path_wins_over_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "digits/a.png", PIL.Image.fromarray(PIXELS[0]))
    assert len(open_images("digits")) == 1


def test_bad_zips(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(b"not a zip")
    refusal(path, str(path), "can't read the zip")
    for name in ("../out.png", "/etc/x.png", "a/../../x.png", "..\\x.png"):
        refusal(write_zip(path, {name: png(PIXELS[0])}), "points outside")
    refusal(write_zip(path, {"a.txt": b"x"}), "1 x .txt")
    refusal(write_zip(path, {}), "is empty")
    refusal(write_zip(path, {"a.png": png(PIXELS[0]), "dataset.json": b"{"}), "dataset.json")
    refusal(write_zip(path, {"a.png": png(PIXELS[0]), "dataset.json": b'{"labels": [["b.png", 1]]}'}), "'a.png'")


@pytest.mark.parametrize(
    "labels", ['[["a.png", 1e999]]', '[["a.png", 1' + 30 * "0" + "]]", '[["a.png", 0.9]]', "[" * 100_000]
)
def test_labels_that_are_none(tmp_path: Path, labels: str) -> None:
    path = write_zip(tmp_path / "x.zip", {"a.png": png(PIXELS[0]), "dataset.json": f'{{"labels": {labels}}}'.encode()})
    refusal(path, "dataset.json", "whole number")


def test_a_broken_dataset_json(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("dataset.json", b"{" * 1000)
        archive.writestr("a.png", png(PIXELS[0]))
    content = bytearray(path.read_bytes())
    content[42:50] = b"\xff" * 8
    path.write_bytes(content)
    refusal(path, "can't read the zip")


def test_a_dataset_json_that_is_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_zip(tmp_path / "x.zip", {"a.png": png(PIXELS[0]), "dataset.json": b" " * 1000})
    monkeypatch.setattr(folders, "LARGEST_MEMBER", 999)
    monkeypatch.setattr(zipfile.ZipFile, "read", None)
    refusal(path, "bomb", "dataset.json")


def test_a_class_folder_that_is_a_dangling_link(tmp_path: Path) -> None:
    for name in ("cats", "dogs"):
        save(tmp_path / name / "a.png", PIL.Image.fromarray(PIXELS[0]))
    (tmp_path / "horses").symlink_to(tmp_path / "unmounted")
    refusal(tmp_path, "horses", "unmounted", "remove")


def test_a_zip_with_a_damaged_member_is_skipped_over(tmp_path: Path) -> None:
    whole = write_zip(tmp_path / "a.zip", {f"{i}.png": png(PIXELS[i]) for i in range(3)})
    with zipfile.ZipFile(whole) as file:
        damaged = file.infolist()[1].header_offset + 60
    content = bytearray(whole.read_bytes())
    content[damaged] ^= 255
    whole.write_bytes(content)
    with pytest.raises(BadImageError, match=r"1\.png"):
        ganeval.extract(whole, "pixels:4")
    assert len(ganeval.extract(whole, "pixels:4", skip_bad=True)) == 2


def test_a_pipe_is_no_statistics_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(GanevalError, match=r"pipe\.npz"):
        ganeval.score(PIXELS, tmp_path / "pipe.npz")


def test_an_encrypted_zip(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.zip", {"a.png": png(PIXELS[0])})
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + offset] |= 1
    path.write_bytes(content)
    refusal(path, "encrypted", "unpack it")


def test_a_zip_bomb(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", b"\0" * (2**28 + 1))
    assert path.stat().st_size < 10**6
    refusal(path, "bomb")


def test_a_damaged_member(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", png(np.zeros((50, 50, 3), np.uint8)) * 10)
    content = bytearray(path.read_bytes())
    content[45:60] = bytes(15)
    path.write_bytes(content)
    with pytest.raises(BadImageError, match=r"a\.png"):
        open_images(path)[0]


@pytest.mark.parametrize("now", ["another member", "another name", "half", "gone"])
def test_a_zip_that_changes_while_it_is_read(tmp_path: Path, now: str) -> None:
    path = write_zip(tmp_path / "x.zip", {"a.png": png(PIXELS[0])})
    images, whole = open_images(path), path.read_bytes()
    if now == "another member":
        write_zip(path, {"b.png": png(PIXELS[0])})
    elif now == "another name":
        head, mark, rest = whole.rpartition(b"PK\x01\x02")
        path.write_bytes(head + mark + rest[:4] + b"\x00\x08" + rest[6:].replace(b"a.png", b"\xff.png"))
    elif now == "half":
        path.write_bytes(whole[: len(whole) // 2])
    else:
        path.unlink()
    with pytest.raises(BadImageError, match=r"a\.png: .*make it again$") as caught:
        images[0]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_an_array_that_is_cut_while_it_is_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    many = np.random.RandomState(0).randint(256, size=(64, 32, 32, 3), dtype=np.uint8)
    if path.suffix == ".npy":
        np.save(path, many)
    else:
        np.savez(path, arr_0=many)
    images, last = open_images(path, cache=False), torch.from_numpy(many[63]).permute(2, 0, 1)
    assert torch.equal(images[63].pixels, last)
    os.truncate(path, 4096)  # to read on from the mapping would end the process
    with pytest.raises(BadImageError, match="shorter since"):
        images[63]
    assert len(images.digests()) == 64 == len(images.changed())


def test_an_array_that_is_replaced_while_it_is_read(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", PIXELS)
    images = open_images(tmp_path / "x.npy", cache=False)
    np.save(tmp_path / "new.npy", PIXELS[:1])
    os.replace(tmp_path / "new.npy", tmp_path / "x.npy")
    assert torch.equal(images[1].pixels, torch.from_numpy(PIXELS[1]).permute(2, 0, 1))  # the mapping holds the old one


def test_pickles_are_not_opened(tmp_path: Path) -> None:
    for name, write in (("x.npz", np.savez), ("x.npy", np.save)):
        write(tmp_path / name, np.array([{"a": 1}], dtype=object))
        refusal(tmp_path / name, "pickled objects")


def test_bad_arrays(tmp_path: Path) -> None:
    refusal(PIXELS[0, 0], "(7, 3)", "(N, H, W, 3)")
    refusal(PIXELS.transpose(0, 3, 1, 2), "transpose(0, 2, 3, 1)")
    refusal(PIXELS[:0], "no image")
    refusal(PIXELS / 127.5 - 1, "outside [0, 1]", "(x + 1) * 127.5")
    refusal(PIXELS.astype(np.float32), "outside [0, 1]", "x.round()")
    refusal(PIXELS * 1e6, "scale them to uint8")
    refusal(np.where(PIXELS[0, 0, 0, 0] == PIXELS, np.nan, 0.5), "NaN")
    refusal(PIXELS.astype(np.int64) - 5, "int64 from -5")
    refusal(PIXELS.astype(complex), "complex128")
    refusal(np.array(["a"]), "(1,)")
    refusal(torch.from_numpy(PIXELS), "(N, 3, H, W)")
    refusal(torch.zeros(3, 8, 8), "(3, 8, 8)")


def test_bad_npz(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, mu=np.zeros(3), sigma=np.eye(3))
    refusal(path, "statistics", "--ref")
    np.savez(path, a=PIXELS, b=PIXELS)
    refusal(path, "a, b", "arr_0")
    np.savez(path, PIXELS)
    whole = path.read_bytes()
    path.write_bytes(whole[:-200])
    refusal(path, str(path))
    encrypted = bytearray(whole)
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        encrypted[encrypted.index(mark) + offset] |= 1
    path.write_bytes(encrypted)
    refusal(path, str(path), "encrypted")
    needed = whole.rindex(b"PK\x01\x02") + 6
    path.write_bytes(whole[:needed] + bytes([99]) + whole[needed + 1 :])
    refusal(path, str(path), "9.9")
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY\x01\x00")
    refusal(tmp_path / "x.npy", "x.npy")


@pytest.mark.parametrize("form", [np.asarray, torch.from_numpy])
def test_a_nan_in_any_chunk_is_found(form: Callable[[np.ndarray], object]) -> None:
    images = np.zeros((2 * CHUNK, 1, 1, 1), np.float32)
    images[CHUNK + 5] = np.nan
    refusal(form(images), "NaN")


# -- archives: what their readers pass over


MANY = np.tile(PIXELS, (200, 1, 1, 1))
"""More than zipfile reads, and checks, in passing."""


def flip(path: Path, member: str) -> None:
    """Changes a byte among the last of the first member of an archive."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        content[archive.getinfo(member).file_size] ^= 1
    path.write_bytes(content)


def test_a_damaged_npz_that_is_mapped_is_no_set(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", MANY)
    flip(tmp_path / "x.npz", "arr_0.npy")
    for cache in (False, True):
        with pytest.raises(GanevalError, match=r"'arr_0\.npy' is not what its checksum says"):
            ganeval.extract(tmp_path / "x.npz", "pixels:2", cache=cache)


def test_damaged_features_in_a_statistics_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.npz"
    summarise.reference_with(MANY, path, Settings(extractor="pixels:2"), keep_features=True)
    assert ganeval.score(PIXELS, path, metrics=["fid"])
    flip(path, "features.npy")
    with pytest.raises(GanevalError, match="checksum"):
        ganeval.score(PIXELS, path, metrics=["fid"])


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_several_members_have(tmp_path: Path) -> None:
    for name, member in (("x.zip", "a.png"), ("x.npz", "arr_0.npy"), ("s.npz", "sigma.npy")):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for pixels in PIXELS[:2]:
                archive.writestr(member, png(pixels) if name == "x.zip" else b"")
            archive.writestr("mu.npy" if name == "s.npz" else "b.png", png(PIXELS[2]))
        if name == "s.npz":
            with pytest.raises(GanevalError, match=r"2 members called 'sigma\.npy'"):
                ganeval.score(PIXELS, tmp_path / name)
        else:
            refusal(tmp_path / name, f"2 members called {member!r}")


def test_two_labels_of_one_image(tmp_path: Path) -> None:
    same = write_zip(
        tmp_path / "x.zip", {"a.png": png(PIXELS[0]), "dataset.json": b'{"labels": [["a.png", 1], ["a.png", 1]]}'}
    )
    assert open_images(same).labels.tolist() == [1]
    other = {"a.png": png(PIXELS[0]), "dataset.json": b'{"labels": [["a.png", 1], ["a.png", 2]]}'}
    refusal(write_zip(tmp_path / "x.zip", other), "dataset.json", "'a.png' several labels")


# -- formats


@pytest.mark.parametrize("form", [*decoding.FORMATS, "MPO"])
def test_a_format_is_known_by_content_under_any_ending(tmp_path: Path, form: str) -> None:
    picture = PIL.Image.fromarray(PIXELS[0])
    more = {"save_all": True, "append_images": [PIL.Image.fromarray(PIXELS[1])]} if form == "MPO" else {}
    for ending in decoding.EXTENSIONS:
        picture.save(tmp_path / f"a{ending}", format=form, **more)
    assert {image.format for image in open_images(tmp_path)} == {form}


def test_a_damaged_file_is_given_to_the_readers_of_documented_formats_alone(tmp_path: Path) -> None:
    """An FITS or PCX reader would make something of it, or blame it for what it is not."""
    for i, form in enumerate(("PCX", "ICO", "TGA")):
        PIL.Image.fromarray(PIXELS[0]).save(tmp_path / f"{i}.png", format=form)
    images = open_images(tmp_path)
    for i in range(len(images)):
        with pytest.raises(BadImageError, match=r"no whole image of a format that is read \(PNG, JPEG"):
            images[i]


# -- what Python programs may hold


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (torch.zeros(2, 3, 4, 4).to_sparse(), "dense"),
        (torch.zeros(2, 3, 4, 4, device="meta"), "dense"),
        (torch.zeros(2, 3, 4, 4).to(torch.float8_e4m3fn), "dense"),
        (torch.nested.nested_tensor([torch.zeros(3, 4, 4)] * 2, layout=torch.jagged), "nested"),
        ([torch.zeros(3, 4, 4).to_sparse()] * 2, "dense"),
        ([torch.zeros(3, 4, 4), torch.zeros(3, 4, 4, device="meta")], "list"),
        ([PIL.Image.fromarray(PIXELS[0]), PIL.Image.new("F", (7, 8))], "image 1 of the list"),
        ("a\0b", "does not exist"),
        ("a" * 5000, "too long"),
        (Path("a" * 5000), "too long"),
    ],
    ids=["sparse", "meta", "float8", "nested", "sparse list", "two devices", "mode F", "NUL", "long", "long path"],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_odd_sources(source: object, words: str) -> None:
    refusal(source, words)
    with pytest.raises(GanevalError, match=words):
        ganeval.score(PIXELS, source, extractor="pixels:2")
