"""What every metric does first: turn its arguments into finite matrices on one device."""

from __future__ import annotations

import hashlib
import math
import operator
import warnings

import numpy as np
import torch
from torch import Tensor

from ganeval.errors import GanevalError

Array = Tensor | np.ndarray
NO_FLOAT64 = ("mps",)
"""Kinds of device without it, beside which all is computed on the CPU."""
LARGEST = torch.finfo(torch.float32).max
"""The fourth powers of larger numbers, which errors are made of, would overflow float64."""


def with_float64(device: torch.device) -> torch.device:
    """The device itself, or the CPU beside one that has no float64."""
    return torch.device("cpu") if device.type in NO_FLOAT64 else device


def matrix(rows: Array, name: str, *, at_least: int = 2) -> Tensor:
    """`rows` as a finite float tensor (N, D), on `with_float64` of its device; float32 stays so, all else is float64.

    Raises GanevalError for another rank, fewer than `at_least` rows, NaN, infinity, or numbers beyond LARGEST.
    """
    try:
        if isinstance(rows, Tensor):
            tensor = rows.detach()
        else:
            array = np.asarray(rows)  # of lists and pandas' frames, too
            # torch takes neither negative strides nor another byte order than the machine's.
            array = array.astype(array.dtype.newbyteorder("="), order="C", copy=False)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # nothing is written to it
                tensor = torch.from_numpy(array)
    except (TypeError, ValueError, RuntimeError):
        raise GanevalError(f"{name} must be features of shape (N, D), got {type(rows).__name__}") from None
    if tensor.is_complex() or tensor.layout != torch.strided or tensor.is_quantized:
        raise GanevalError(f"{name} must be one dense matrix of real numbers, got {tensor.dtype}, {tensor.layout}")
    if tensor.ndim != 2 or not tensor.shape[1]:
        raise GanevalError(f"{name} must be features of shape (N, D), got {tuple(tensor.shape)}")
    if len(tensor) < at_least:
        raise GanevalError(f"{name} has {len(tensor)} row(s); this metric needs at least {at_least} images")
    tensor = tensor.to(with_float64(tensor.device))
    if tensor.dtype not in (torch.float32, torch.float64):
        tensor = tensor.double()
    low, high = map(float, tensor.aminmax())  # both NaN where there is one
    if not -LARGEST <= low <= high <= LARGEST:
        bad = int((~(tensor.abs() <= LARGEST)).any(1).sum())
        mend = "look for broken images" if len(tensor) > bad else "look at the network and its weights"
        what = f"numbers beyond {LARGEST:.1e}" if math.isfinite(low) and math.isfinite(high) else "NaN or infinity"
        raise GanevalError(f"{name} has {what} in {bad} of {len(tensor)} rows; {mend}")
    return tensor


def batch_rows(pooled: Array, logits: Array | None) -> tuple[Tensor, Tensor | None]:
    """The features of a batch, and its logits where there are any, as `matrix` has them."""
    rows = matrix(pooled, "the batch", at_least=1)
    return rows, None if logits is None else matrix(logits, "the batch's logits", at_least=1)


def pair(
    fake: Array, real: Array, *, at_least: int = 2, names: tuple[str, str] = ("fake", "real")
) -> tuple[Tensor, Tensor]:
    """Both matrices, on the fake's device, in the wider of their two dtypes; names: what errors call them.

    Raises GanevalError as `matrix` does, and where the numbers of columns differ.
    """
    x, y = (matrix(rows, name, at_least=at_least) for rows, name in zip((fake, real), names, strict=True))
    if x.shape[1] != y.shape[1]:
        raise GanevalError(
            f"{names[0]} has {x.shape[1]} columns and {names[1]} has {y.shape[1]}; both must come from one extractor"
        )
    dtype = torch.promote_types(x.dtype, y.dtype)
    return x.to(dtype), y.to(x.device, dtype)


def stream(seed: int) -> np.random.RandomState:
    """The random numbers of a seed. Raises GanevalError for one that is no whole number of 32 bits."""
    try:
        return np.random.RandomState(operator.index(seed))
    except (TypeError, ValueError):
        raise GanevalError(f"seed={seed!r}; give a whole number from 0 to {2**32 - 1}") from None


def generator(seed: int) -> np.random.Generator:
    """As `stream`, of numpy's newer kind, for what no peer draws."""
    stream(seed)
    return np.random.default_rng(seed)


def row_digests(rows: Tensor) -> list[bytes]:
    """A digest of what each row holds, in their order."""
    return [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in rows.cpu().numpy()]


def shuffled(rows: Tensor, random: np.random.Generator) -> np.ndarray:
    """Row numbers in an order that depends on the seed and on what the rows hold, not on how they came."""
    digests = row_digests(rows)
    return np.array(sorted(range(len(rows)), key=digests.__getitem__))[random.permutation(len(rows))]
