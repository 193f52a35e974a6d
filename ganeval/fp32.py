"""Arithmetic in fp32, and networks as they are meant to be, whatever the caller has set."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import nn


class _Everywhere:
    """A setting of the whole process, changed while any thread is inside; the last one out undoes it."""

    def __init__(self, change: Callable[[], Callable[[], object]]) -> None:
        """change: makes the change, and returns what undoes it."""
        self.change = change
        self.undo: Callable[[], object]
        self.inside, self.lock = 0, threading.Lock()

    def __enter__(self) -> None:
        with self.lock:
            if not self.inside:
                self.undo = self.change()
            self.inside += 1

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.inside -= 1
            if not self.inside:
                self.undo()


def _all_digits() -> Callable[[], object]:
    mkldnn: Any = torch.backends.mkldnn
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    if not hasattr(cudnn, "conv"):
        products, convolutions = torch.get_float32_matmul_precision(), cudnn.allow_tf32
        _put(cudnn, "allow_tf32", False)
        torch.set_float32_matmul_precision("highest")
        return lambda: (_put(cudnn, "allow_tf32", convolutions), torch.set_float32_matmul_precision(products))
    # Since torch 2.9, which can't read the older settings where these were used.
    places: Any = matmul, cudnn.conv, mkldnn.matmul, mkldnn.conv
    before = [place.fp32_precision for place in places]
    for place in places:
        place.fp32_precision = "ieee"
    return lambda: [_put(place, "fp32_precision", value) for place, value in zip(places, before, strict=True)]


def _put(place: Any, name: str, value: object) -> None:
    setattr(place, name, value)


def _float32() -> Callable[[], object]:
    undo = partial(torch.set_default_dtype, torch.get_default_dtype())
    torch.set_default_dtype(torch.float32)
    return undo


_ALL_DIGITS, _FLOAT32 = _Everywhere(_all_digits), _Everywhere(_float32)


@contextmanager
def true_fp32() -> Iterator[None]:
    """Products and convolutions in fp32, whatever the caller has set: no autocast, as validation loops are often in,
    no TF32, NVIDIA's rounding to 10 bits, which PyTorch takes for convolutions by default, and no bf16 in their place
    on a CPU. New tensors are float32 and on the CPU where nothing else is said.
    """
    with _ALL_DIGITS, torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False), plain_defaults():
        yield


@contextmanager
def plain_defaults() -> Iterator[None]:
    """PyTorch's own default dtype and device."""
    # The device, which is the thread's own, not where it is so already: each call of a function would pass through it.
    with _FLOAT32, nullcontext() if torch.get_default_device().type == "cpu" else torch.device("cpu"):
        yield


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
