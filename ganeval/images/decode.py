"""One encoded image to 8-bit RGB.

The pixels are those of Pillow's `convert("RGB")`, which pytorch-fid, torch-fidelity and clean-fid use, so that
numbers agree with theirs; the one exception is 16-bit grey, which Pillow clips to white. What is done is reported:

| stored as               | treatment                                                     |
|-------------------------|---------------------------------------------------------------|
| grey, 1-bit             | repeated to three channels                                    |
| palette                 | expanded to its colours                                       |
| alpha                   | dropped; transparent pixels keep the colour stored under them |
| 16-bit grey             | scaled to 8 bits: value / 257, rounded                        |
| 16-bit colour           | reduced to the high byte, as Pillow reads it                  |
| CMYK, YCbCr, HSV        | converted by Pillow, without a colour profile                 |
| EXIF orientation        | not applied: the pixels as stored                             |
| animation, many pages   | the first frame                                               |
| float, 32-bit, LAB      | refused                                                       |
"""

from __future__ import annotations

import errno
import re
import struct
import warnings
from typing import BinaryIO

import numpy as np
import PIL.Image
import torch

from ganeval.errors import BadImageError, said
from ganeval.images import Image, PassingError

EXTENSIONS = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm"}
FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF", "GIF", "PPM")
"""What a file of any of these endings may hold. Asked for all it knows, Pillow takes damaged files for odd ones."""
FAULTS = (OSError, SyntaxError, ValueError, EOFError, TypeError, NotImplementedError, struct.error, MemoryError)
"""What Pillow's readers raise for broken files."""
FILE_IS_BROKEN = (None, errno.EINVAL, errno.EOVERFLOW)
"""The numbers of OSErrors that come of a file's content: Pillow's own have none, and broken files point to places that
no file has."""
_ORIENTATION = 0x0112
_GREY_16 = {"I;16", "I;16B", "I;16L", "I;16N", "I"}
_REFUSED = {"F": "floating point", "LAB": "LAB colour"}


def decode(stream: BinaryIO, name: str) -> Image:
    """Reads one image file. Raises BadImageError that names it, what was found, and the mend."""
    fault = BadImageError
    try:
        with warnings.catch_warnings():
            # Pillow only warns of a decompression bomb up to twice its limit.
            warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)
            with PIL.Image.open(stream, formats=FORMATS) as image:
                return converted(image)
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning):
        found = "it unpacks to more pixels than Pillow's limit (a decompression bomb?)"
    except PIL.UnidentifiedImageError:
        found = f"it is no whole image of a format that is read ({', '.join(FORMATS)})"
    except FAULTS as error:
        found, fault = said(error), kind_of(error)
    raise fault(f"can't read the image {name}: {found}; remove it, or pass --skip-bad")


def kind_of(error: Exception) -> type[BadImageError]:
    """The class of the error for an image: whether its file is broken, or the system failed to read it."""
    passing = isinstance(error, MemoryError) or getattr(error, "errno", None) not in FILE_IS_BROKEN
    return PassingError if passing else BadImageError


def converted(image: PIL.Image.Image) -> Image:
    """As 8-bit RGB. Raises ValueError for one that is not to be had so."""
    treatments = []
    tile = getattr(image, "tile", None)
    if tile and re.search("RGB[AX]?;16", str(tile[0][3])):
        treatments.append("16-bit colour reduced to the high byte")
    image.load()
    mode, form = image.mode, image.format or "?"
    if mode in _REFUSED:
        raise ValueError(f"its pixels are {_REFUSED[mode]}; save it as 8-bit RGB")
    if getattr(image, "n_frames", 1) > 1:
        treatments.append("first frame of several")
    if image.getexif().get(_ORIENTATION, 1) != 1:
        treatments.append("EXIF orientation not applied")
    if mode in _GREY_16:
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError("its grey values exceed 16 bits; save it as 8-bit RGB")
        grey = np.rint(values / 257).astype(np.uint8)
        treatments.append("16-bit grey scaled to 8 bits")
        return Image(torch.from_numpy(np.repeat(grey[None], 3, 0)), form, tuple(treatments))
    treatments += _colour_treatments(image)
    # Palettes with transparency go by way of RGBA, whose colours are the same; straight to RGB Pillow warns.
    rgb = (image.convert("RGBA") if "transparency" in image.info else image).convert("RGB")
    return Image(torch.from_numpy(np.array(rgb)).permute(2, 0, 1).contiguous(), form, tuple(treatments))


def _colour_treatments(image: PIL.Image.Image) -> list[str]:
    found = []
    if image.mode in ("L", "1", "LA", "La"):
        found.append("grey repeated to RGB")
    elif image.mode in ("P", "PA"):
        found.append("palette expanded to RGB")
    elif image.mode not in ("RGB", "RGBA", "RGBX", "RGBa"):
        found.append(f"{image.mode} converted to RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        alpha = image.convert("RGBA").getchannel("A")
        if alpha.getextrema()[0] < 255:  # type: ignore[operator]
            found.append("alpha dropped")
    return found
