"""Every source of images opens, and every odd pixel format has its stated treatment."""

from __future__ import annotations

import json
import pickle
import struct
import zipfile
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from ganeval.images import ImageSet, open_images

PIXELS = np.random.RandomState(0).randint(256, size=(4, 9, 7, 3), dtype=np.uint8)


def png(pixels: np.ndarray, mode: str | None = None, **options: object) -> bytes:
    buffer = BytesIO()
    PIL.Image.fromarray(pixels).convert(mode).save(buffer, "PNG", **options)
    return buffer.getvalue()


def save(path: Path, image: PIL.Image.Image, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def chw(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1)


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


# -- sources


def test_a_folder_is_searched_in_depth_in_order_and_in_any_case(tmp_path: Path) -> None:
    names = ["b/x.PNG", "a/deep/er/y.Jpg", "z.png", "a/w.JPEG", "c.webp", "d.tiff", "e.bmp"]
    for name in names:
        save(tmp_path / name, PIL.Image.fromarray(PIXELS[0]))
    for left_out in (".hidden/h.png", "a/._w.JPEG", "__MACOSX/z.png"):
        (tmp_path / left_out).parent.mkdir(exist_ok=True)
        save(tmp_path / left_out, PIL.Image.fromarray(PIXELS[0]))
    (tmp_path / "notes.txt").write_text("not an image")
    images = open_images(tmp_path)
    assert [Path(images.name(i)).relative_to(tmp_path).as_posix() for i in range(len(images))] == sorted(names)
    assert images.labels is None
    assert images[sorted(names).index("z.png")].pixels.shape == (3, 9, 7)


def test_class_folders_give_labels(tmp_path: Path) -> None:
    for name in ("cat/1.png", "cat/2.png", "dog/deep/1.png"):
        save(tmp_path / name, PIL.Image.fromarray(PIXELS[0]))
    images = open_images(tmp_path)
    assert images.class_names == ("cat", "dog")
    assert images.labels.tolist() == [0, 0, 1]
    assert images.subset([2, 0]).labels.tolist() == [1, 0]


def test_unusual_names_and_a_loop_of_links(tmp_path: Path) -> None:
    for name in ("ünï código.png", "new\nline.png", "quote'\".png"):
        save(tmp_path / name, PIL.Image.fromarray(PIXELS[0]))
    (tmp_path / "loop").symlink_to(tmp_path)
    assert len(open_images(tmp_path)) == 3


def test_each_link_to_a_folder_is_followed(tmp_path: Path) -> None:
    save(tmp_path / "store/a.png", PIL.Image.fromarray(PIXELS[0]))
    (tmp_path / "store/up").symlink_to(tmp_path / "store")
    for name in ("cat", "dog"):
        (tmp_path / "set").mkdir(exist_ok=True)
        (tmp_path / "set" / name).symlink_to(tmp_path / "store")
    images = open_images(tmp_path / "set")
    assert images.class_names == ("cat", "dog")
    assert images.labels is not None
    assert images.labels.tolist() == [0, 1]


def test_a_zip_with_stylegan_labels(tmp_path: Path) -> None:
    files = {f"0000{i % 2}/{i}.PNG": png(PIXELS[i]) for i in range(4)}
    files["dataset.json"] = json.dumps({"labels": [[name, 7 - int(name[4])] for name in files]}).encode()
    images = open_images(write_zip(tmp_path / "s.zip", files))
    assert len(images) == 4
    assert images.labels.tolist() == [7, 7, 6, 6]
    assert torch.equal(images[1].pixels, chw(PIXELS[2]))


def test_the_shards_of_stylegans_zips_are_no_classes(tmp_path: Path) -> None:
    files = {"00000/img0.png": png(PIXELS[0]), "00001/img1.png": png(PIXELS[1])}
    images = open_images(write_zip(tmp_path / "s.zip", files | {"dataset.json": b'{"labels": null}'}))
    assert (images.labels, images.class_names) == (None, ())
    assert open_images(write_zip(tmp_path / "plain.zip", files)).class_names == ("00000", "00001")


def test_npz_of_guided_diffusion_and_npy(tmp_path: Path) -> None:
    np.savez(tmp_path / "stored.npz", PIXELS, np.array([3, 1, 0, 2]))
    np.savez_compressed(tmp_path / "packed.npz", PIXELS)
    np.save(tmp_path / "one.npy", PIXELS)
    for name in ("stored.npz", "packed.npz", "one.npy"):
        images = open_images(tmp_path / name)
        assert len(images) == 4
        assert all(torch.equal(images[i].pixels, chw(PIXELS[i])) for i in range(4))
    assert open_images(tmp_path / "stored.npz").labels.tolist() == [3, 1, 0, 2]
    assert isinstance(open_images(tmp_path / "stored.npz").reader.array, np.memmap)


def test_tensors_and_arrays() -> None:
    tensor = torch.from_numpy(PIXELS).permute(0, 3, 1, 2)
    assert torch.equal(open_images(tensor)[2].pixels, tensor[2])
    assert torch.equal(open_images(PIXELS)[2].pixels, tensor[2])
    grey = open_images(PIXELS[..., 0])[1]
    assert torch.equal(grey.pixels, torch.from_numpy(PIXELS[1, ..., 0]).expand(3, -1, -1))
    assert grey.treatments == ("grey repeated to RGB",)
    assert torch.equal(open_images(PIXELS.astype(np.int64))[0].pixels, tensor[0])


def test_floats_in_0_1_are_guessed_and_noted() -> None:
    images = open_images(PIXELS / 255.0)
    assert torch.equal(images[3].pixels, chw(PIXELS[3]))
    assert "floats in [0, 1]" in images.notes[0]


def test_digits_are_split_without_overlap() -> None:
    train, test, whole = (open_images(name) for name in ("digits:train", "digits:test", "digits"))
    assert (len(train), len(test), len(whole)) == (1200, 597, 1797)
    assert whole.extractor == "classifier:digits"
    keys = [set(train.digests()), set(test.digests())]
    assert not keys[0] & keys[1]
    assert sorted(set(whole.labels.tolist())) == list(range(10))
    assert whole[0].pixels.max() == 239  # the darkest level of the first digit is 15 of 16


def test_mnist(data_root: Path) -> None:
    images = open_images("mnist:test", data_root=data_root)
    assert len(images) == 10000
    assert images[0].pixels.shape == (3, 28, 28)
    assert images.labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert images.class_names[7] == "7"
    assert images.extractor == "classifier:mnist"


def test_the_cifar_zip(data_root: Path) -> None:
    images = open_images(data_root / "cifar10-jpeg-test.zip")
    assert len(images) == 10000
    assert images.labels.bincount().tolist() == [1000] * 10
    assert len(images.class_names) in (0, 10)
    assert images[5].format == "JPEG"


def test_the_photographs(data_root: Path) -> None:
    images = open_images(data_root / "photos")
    assert len(images) == 148
    assert images[0].pixels.dtype == torch.uint8


def test_a_set_is_its_content_and_not_its_place(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        for i in range(3):
            save(tmp_path / folder / f"{'x' if folder == 'one' else 'y'}{i}.png", PIL.Image.fromarray(PIXELS[i]))
    one, two = open_images(tmp_path / "one"), open_images(tmp_path / "two")
    assert one.content_key() == two.content_key()
    assert one.content_key() != one.subset([0, 2, 1]).content_key()
    path = tmp_path / "two/y1.png"
    path.write_bytes(png(PIXELS[3]))
    assert open_images(tmp_path / "two").content_key() != one.content_key()


def test_a_set_can_be_sent_to_a_worker(tmp_path: Path) -> None:
    sets = [open_images(write_zip(tmp_path / "s.zip", {"a.png": png(PIXELS[0])})), open_images(PIXELS)]
    for images in sets:
        copy: ImageSet = pickle.loads(pickle.dumps(images))
        assert torch.equal(copy[0].pixels, images[0].pixels)


# -- pixel formats


def treated(tmp_path: Path, image: PIL.Image.Image, name: str = "x.png", **options: object):
    return open_images(save(tmp_path / name, image, **options).parent)[0]


@pytest.mark.parametrize(
    ("mode", "treatment"),
    [("L", "grey repeated to RGB"), ("1", "grey repeated to RGB"), ("P", "palette expanded to RGB")],
)
def test_grey_and_palette(tmp_path: Path, mode: str, treatment: str) -> None:
    image = PIL.Image.fromarray(PIXELS[0]).convert(mode)
    found = treated(tmp_path, image)
    assert found.treatments == (treatment,)
    assert torch.equal(found.pixels, chw(np.array(image.convert("RGB"))))


def test_alpha_is_dropped_and_the_colour_under_it_stays(tmp_path: Path) -> None:
    alpha = np.full((9, 7, 1), 128, np.uint8)
    found = treated(tmp_path, PIL.Image.fromarray(np.concatenate([PIXELS[0], alpha], 2)))
    assert torch.equal(found.pixels, chw(PIXELS[0]))
    assert found.treatments == ("alpha dropped",)


def test_an_opaque_alpha_is_not_worth_a_word(tmp_path: Path) -> None:
    alpha = np.full((9, 7, 1), 255, np.uint8)
    assert treated(tmp_path, PIL.Image.fromarray(np.concatenate([PIXELS[0], alpha], 2))).treatments == ()


def test_a_palette_with_transparency_does_not_warn(tmp_path: Path) -> None:
    image = PIL.Image.fromarray(PIXELS[0]).convert("P")
    found = treated(tmp_path, image, transparency=bytes([0, 255] * 128))
    assert found.treatments == ("palette expanded to RGB", "alpha dropped")
    assert torch.equal(found.pixels, chw(np.array(image.convert("RGB"))))


@pytest.mark.parametrize(("kind", "name"), [("<u2", "x.png"), (">u2", "x.tiff"), ("<i4", "x.tiff")])
def test_16_bit_grey_is_scaled_where_pillow_clips(tmp_path: Path, kind: str, name: str) -> None:
    values = np.array([[0, 257, 128 * 257, 65535, 300, 400]], kind)
    found = treated(tmp_path, PIL.Image.fromarray(values), name)
    assert found.pixels[0].tolist() == [[0, 1, 128, 255, 1, 2]], "400 / 257 is 1.56"
    assert found.treatments == ("16-bit grey scaled to 8 bits",)


def test_16_bit_colour_is_its_high_byte_and_said_to_be(tmp_path: Path) -> None:
    """Written by hand, for Pillow writes none."""
    values = np.random.RandomState(0).randint(65536, size=(4, 5, 3)).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    parts = (b"IHDR", struct.pack(">IIBBBBB", 5, 4, 16, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    chunks = (struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
              for kind, data in parts)  # fmt: skip
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    found = open_images(tmp_path)[0]
    assert torch.equal(found.pixels, chw((values >> 8).astype(np.uint8)))
    assert found.treatments == ("16-bit colour reduced to the high byte",)


def test_cmyk_is_converted(tmp_path: Path) -> None:
    found = treated(tmp_path, PIL.Image.fromarray(PIXELS[0]).convert("CMYK"), "x.jpg", quality=95)
    assert found.treatments == ("CMYK converted to RGB",)
    assert found.format == "JPEG"


def test_exif_orientation_is_not_applied_and_said(tmp_path: Path) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    found = treated(tmp_path, PIL.Image.fromarray(PIXELS[0]), "x.jpg", exif=exif)
    assert found.pixels.shape == (3, 9, 7)
    assert found.treatments == ("EXIF orientation not applied",)


def test_an_animation_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [PIL.Image.fromarray(pixels).convert("P") for pixels in PIXELS]
    found = treated(tmp_path, frames[0], "x.gif", save_all=True, append_images=frames[1:])
    assert "first frame of several" in found.treatments


def test_one_pixel(tmp_path: Path) -> None:
    assert treated(tmp_path, PIL.Image.fromarray(PIXELS[0][:1, :1])).pixels.shape == (3, 1, 1)
