"""Reference statistics: mean, covariance, n and fingerprint of a reference set, in the .npz that pytorch-fid reads."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import torch

from ganeval.errors import GanevalError
from ganeval.files import sha256_file, write_result
from ganeval.types import Moments

FACTS = ("n", "fingerprint", "extractor")
"""What ganeval's files hold beside mu and sigma."""


def is_statistics(source: object) -> bool:
    """True where `source` is the path of an .npz that holds mu and sigma."""
    if not isinstance(source, str | Path) or Path(source).suffix.lower() != ".npz":
        return False
    try:
        with zipfile.ZipFile(source) as file:
            return {"mu.npy", "sigma.npy"} <= set(file.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def save_statistics(path: str | Path, moments: Moments) -> None:
    """Writes mu and sigma as pytorch-fid names them, and the other facts beside them."""
    buffer = io.BytesIO()
    arrays = {name: np.array(getattr(moments, name)) for name in FACTS if getattr(moments, name) is not None}
    arrays |= {"mu": moments.mean.cpu().numpy(), "sigma": moments.cov.cpu().numpy()}
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    write_result(path, buffer.getvalue())


def load_statistics(path: str | Path) -> tuple[Moments, str]:
    """The statistics in an .npz file and the file's sha256; n and fingerprint are None where pytorch-fid wrote it.

    Raises GanevalError for arrays that are not a mean (D,) and a finite symmetric covariance (D, D).
    """
    try:
        with open(path, "rb") as handle, np.load(handle, allow_pickle=False) as file:
            mean, cov = file["mu"].astype(np.float64), file["sigma"].astype(np.float64)
            facts = {name: file[name].item() for name in FACTS if name in file}
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise GanevalError(f"can't read the statistics in {path} ({error}); make them again") from None
    if mean.ndim != 1 or cov.shape != (len(mean), len(mean)):
        raise GanevalError(
            f"{path} holds mu {mean.shape} and sigma {cov.shape}; expected (D,) and (D, D): make the file again"
        )
    if not (np.isfinite(mean).all() and np.isfinite(cov).all()):
        raise GanevalError(f"{path} holds NaN or infinity; make the statistics again from the images")
    if not np.allclose(cov, cov.T, rtol=1e-4, atol=1e-8 * abs(cov).max()):
        raise GanevalError(f"sigma in {path} is not symmetric, so it is no covariance; make the statistics again")
    moments = Moments(torch.from_numpy(mean), torch.from_numpy(cov), **facts)
    return moments, sha256_file(path)
