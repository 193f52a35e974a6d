"""Arithmetic in fp32, whatever the caller has set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def true_fp32() -> Iterator[None]:
    """Products and convolutions in fp32, whatever the caller has set: no autocast, as validation loops are often in,
    and no TF32, NVIDIA's rounding to 10 bits, which PyTorch takes for convolutions by default.
    """
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    switches: list[tuple[Any, str, Any]] = [(matmul, "allow_tf32", False), (cudnn, "allow_tf32", False)]
    if hasattr(cudnn, "conv"):  # since torch 2.9, which can't read these where the newer ones were used
        switches = [(matmul, "fp32_precision", "ieee"), (cudnn.conv, "fp32_precision", "ieee")]
    before = [getattr(place, name) for place, name, _ in switches]
    for switch in switches:
        setattr(*switch)
    try:
        with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
            yield
    finally:
        for (place, name, _), value in zip(switches, before, strict=True):
            setattr(place, name, value)
