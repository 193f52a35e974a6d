"""Arithmetic in fp32, and networks as they are meant to be, whatever the caller has set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn


@contextmanager
def true_fp32() -> Iterator[None]:
    """Products and convolutions in fp32, whatever the caller has set: no autocast, as validation loops are often in,
    and no TF32, NVIDIA's rounding to 10 bits, which PyTorch takes for convolutions by default. New tensors are float32
    and on the CPU where nothing else is said.
    """
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    switches: list[tuple[Any, str, Any]] = [(matmul, "allow_tf32", False), (cudnn, "allow_tf32", False)]
    if hasattr(cudnn, "conv"):  # since torch 2.9, which can't read these where the newer ones were used
        switches = [(matmul, "fp32_precision", "ieee"), (cudnn.conv, "fp32_precision", "ieee")]
    before = [getattr(place, name) for place, name, _ in switches]
    for switch in switches:
        setattr(*switch)
    try:
        with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False), plain_defaults():
            yield
    finally:
        for (place, name, _), value in zip(switches, before, strict=True):
            setattr(place, name, value)


@contextmanager
def plain_defaults() -> Iterator[None]:
    """PyTorch's own default dtype and device."""
    dtype, device = torch.get_default_dtype(), torch.get_default_device()
    torch.set_default_dtype(torch.float32)
    try:
        # Not where it is so already: each call of a function would pass through it.
        with nullcontext() if device.type == "cpu" else torch.device("cpu"):
            yield
    finally:
        torch.set_default_dtype(dtype)


@contextmanager
def evaluating(network: object) -> Iterator[None]:
    """A module in evaluation mode; each of its parts is in its own mode again afterwards. Of anything else, nothing."""
    # One by one, for a module that is trained may hold others that are not.
    modes = {part: part.training for part in network.modules()} if isinstance(network, nn.Module) else {}
    try:
        for part in modes:
            part.training = False
        yield
    finally:
        for part, training in modes.items():
            part.training = training
