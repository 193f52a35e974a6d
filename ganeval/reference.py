"""Reference statistics: mean, covariance, n and fingerprint of a reference set, in the .npz that pytorch-fid reads.

The file may keep the features too, as `features`, float32 (n, D); they are read in place, and only where needed.
"""

from __future__ import annotations

import os
import struct
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TypeGuard

import numpy as np
import torch
from torch import Tensor

from ganeval.distributed import fold, gather, rank
from ganeval.errors import GanevalError, said
from ganeval.files import result_file
from ganeval.images.archives import check_names
from ganeval.images.arrays import mapped_member
from ganeval.numerics.moments import Running
from ganeval.types import Features, Moments

SFID = "spatial-inception"
"""The extractor whose statistics guided-diffusion's files hold too, as mu_s and sigma_s."""
FACTS = ("n", "fingerprint", "extractor")
"""What ganeval's files hold beside mu and sigma."""
FEATURES = "features"
ALIGNED = 64
"""Where the features begin in the file is a multiple of this: a processor reads numbers at odd addresses slowly."""


def is_statistics(source: object) -> TypeGuard[str | Path]:
    """True where `source` is the path of an .npz that holds mu and sigma."""
    return isinstance(source, str | Path) and {"mu.npy", "sigma.npy"} <= _members(source)


def holds_images(source: str | Path) -> bool:
    """Whether there are images beside the statistics, as in guided-diffusion's files of reference batches.

    Their mu and sigma are of a whole data set, in the features of the first FID, and their images some of it.
    """
    return "arr_0.npy" in _members(source)


def _members(source: str | Path) -> set[str]:
    path = os.path.expanduser(source)
    if Path(source).suffix.lower() != ".npz" or not os.path.isfile(path):
        return set()  # a pipe would be waited for without end
    try:
        with zipfile.ZipFile(path) as file:
            return set(file.namelist())
    except Exception:
        # What opens it as images says what is wrong with it.
        return set()


def write_statistics(
    path: str | Path, parts: Iterable[Tensor], fingerprint: str | None = None, extractor: str | None = None, *,
    keep: int | None = None, shared: bool = False,
) -> Moments:  # fmt: skip
    """Writes the statistics of features (n, D) that come a part at a time, and returns them.

    Each part's are those of `ganeval.metrics`, added in float64 in memory of O(D^2).
    keep: how many rows will come, to keep them in the file too; None keeps none.
    shared: each rank of torch.distributed gives parts of its own, perhaps none; all get the moments of all rows, added
    in the order of ranks, and the first writes.
    Raises GanevalError for under 2 rows, a file that can't be written, and on all ranks for what `parts` raises on one.
    """
    with _archive(path) if rank() == 0 or not shared else nullcontext() as archive:
        if archive and keep is not None:
            parts = _kept(parts, archive, keep)
        moments = replace(_moments(parts, shared), fingerprint=fingerprint, extractor=extractor)
        if archive:
            _add(archive, moments)
    return moments


@contextmanager
def _archive(path: str | Path) -> Iterator[zipfile.ZipFile]:
    """Opened before the first number is computed: a place that can't be written to is found in time."""
    with result_file(path) as file, zipfile.ZipFile(file, "w") as archive:
        yield archive


def _add(archive: zipfile.ZipFile, moments: Moments) -> None:
    """mu and sigma as pytorch-fid names them, and the other facts beside them."""
    arrays = {name: np.array(getattr(moments, name)) for name in FACTS if getattr(moments, name) is not None}
    arrays |= {"mu": moments.mean.cpu().numpy(), "sigma": moments.cov.cpu().numpy()}
    for name, array in arrays.items():
        with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array(member, array, allow_pickle=False)


def _kept(parts: Iterable[Tensor], archive: zipfile.ZipFile, n: int) -> Iterator[Tensor]:
    """Passes the parts on, n rows in all, and writes them as the first member of the archive."""
    member = zipfile.ZipInfo(f"{FEATURES}.npy")
    # 30 bytes of zip's header, the name, 20 of sizes, and this field of 6 and more, which is made for the purpose.
    padding = -(30 + len(member.filename) + 20 + 6) % ALIGNED
    member.extra = struct.pack("<HHH", 0xD935, 2 + padding, ALIGNED) + bytes(padding)
    with archive.open(member, "w", force_zip64=True) as file:
        for i, part in enumerate(parts):
            if i == 0:
                header = {"descr": "<f4", "fortran_order": False, "shape": (n, part.shape[1])}
                np.lib.format.write_array_header_1_0(file, header)
            file.write(part.numpy().astype("<f4").tobytes())
            yield part


def _moments(parts: Iterable[Tensor], shared: bool) -> Moments:
    total: Running | None = None
    failure: GanevalError | None = None
    try:
        for part in parts:
            total = _sum(total, Running.of(part))
    except GanevalError as error:
        failure = error
    if shared:
        gather(failure)
        total = fold(total, _sum)
    elif failure:
        raise failure
    if total is None or total.n < 2:
        raise GanevalError(f"{total.n if total else 0} image(s) are not enough; statistics need 2 or more")
    return total.moments()


def _sum(a: Running | None, b: Running | None) -> Running | None:
    return a + b if a and b else a or b


def load_statistics(path: str | Path, extractor: object = None) -> Moments:
    """The statistics in an .npz file; n and fingerprint are None where pytorch-fid wrote it.

    extractor: the one that is asked for; of spatial-inception a file may hold statistics beside Inception's.
    Raises GanevalError for arrays that are not a mean (D,) and a finite symmetric covariance (D, D) without negative
    variances, and for facts or features that are none.
    """
    path = os.path.expanduser(path)
    if os.path.isdir(path):
        raise GanevalError(f"{path} is a folder, not statistics; `ganeval reference {path}` makes them of its images")
    try:
        with open(path, "rb") as handle, np.load(handle, allow_pickle=False) as file:
            check_names(file.zip.namelist(), path)
            name = extractor if isinstance(extractor, str) else getattr(extractor, "name", None)
            spatial = str(name).lower() == SFID and "mu_s" in file
            names = ("mu_s", "sigma_s") if spatial else ("mu", "sigma")
            mean, cov = (file[name] for name in names)
            facts = {name: file[name].item() for name in FACTS if name in file}
    except GanevalError:
        raise
    except Exception as error:
        # zipfile, its decompressors and numpy raise what they like for damaged bytes.
        raise GanevalError(f"can't read the statistics in {path} ({said(error)}); make them again") from None
    if {mean.dtype.kind, cov.dtype.kind} - set("fiu"):
        raise GanevalError(f"{path} holds mu {mean.dtype} and sigma {cov.dtype}; they must be real numbers")
    mean, cov = mean.astype(np.float64), cov.astype(np.float64)
    _check_facts(path, facts)
    _check_moments(path, mean, cov)
    moments = Moments(torch.from_numpy(mean), torch.from_numpy(cov), **facts)
    return replace(moments, features=_features(Path(path), moments))


def _check_facts(path: str, facts: dict[str, object]) -> None:
    for name, fact in facts.items():
        if not isinstance(fact, int if name == "n" else str) or isinstance(fact, bool):
            kind = "a whole number" if name == "n" else "text"
            raise GanevalError(f"{path} holds {name}={fact!r}, which should be {kind}; make the file again")
        if isinstance(fact, int) and fact < 1:
            raise GanevalError(f"{path} holds n={fact}, and statistics are of 1 image or more; make the file again")


def _check_moments(path: str, mean: np.ndarray, cov: np.ndarray) -> None:
    if mean.ndim != 1 or not len(mean) or cov.shape != (len(mean), len(mean)):
        raise GanevalError(
            f"{path} holds mu {mean.shape} and sigma {cov.shape}; expected (D,) and (D, D): make the file again"
        )
    if not (np.isfinite(mean).all() and np.isfinite(cov).all()):
        raise GanevalError(f"{path} holds NaN or infinity; make the statistics again from the images")
    largest = abs(cov).max()
    if not np.allclose(cov, cov.T, rtol=1e-4, atol=1e-8 * largest):
        raise GanevalError(f"sigma in {path} is not symmetric, so it is no covariance; make the statistics again")
    # All eigenvalues would show more, and take seconds at D = 2048.
    if (least := cov.diagonal().min()) < -1e-6 * largest:
        raise GanevalError(f"sigma in {path} holds the variance {least:.4g}, below 0; make the statistics again")


def _features(path: Path, moments: Moments) -> Features | None:
    """The rows that the file keeps, mapped into memory; None where it keeps none."""
    try:
        with zipfile.ZipFile(path) as archive:
            if f"{FEATURES}.npy" not in archive.namelist():
                return None
            rows = mapped_member(path, archive, FEATURES)
    except Exception as error:
        # As in `load_statistics`.
        raise GanevalError(f"can't read the features in {path} ({said(error)}); make the file again") from None
    if rows.shape != (moments.n, len(moments.mean)) or rows.dtype != np.float32:
        raise GanevalError(
            f"{path} holds features {rows.dtype} {rows.shape} and the statistics of {moments.n} rows of "
            f"{len(moments.mean)}; make the file again"
        )
    with warnings.catch_warnings():
        # torch warns of memory that can't be written to, and no metric writes to its features.
        warnings.simplefilter("ignore", UserWarning)
        return Features(torch.from_numpy(rows), None, moments.fingerprint or "")
