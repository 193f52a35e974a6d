"""Arithmetic in fp32, and networks as they are meant to be, whatever the caller has set."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext

import torch
from torch import nn

DEVICES = ("cpu", "cuda", "mps", "xpu")
"""Kinds of device whose autocast is switched off."""


class _Everywhere:
    """A setting of the whole process, changed while any thread is inside; the last one out puts it back."""

    def __init__(self, change: Callable[[], AbstractContextManager[None]]) -> None:
        self.change, self.inside, self.lock = change, 0, threading.Lock()

    def __enter__(self) -> None:
        with self.lock:
            if not self.inside:
                self.changed = self.change()
                self.changed.__enter__()
            self.inside += 1

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.inside -= 1
            if not self.inside:
                self.changed.__exit__(None, None, None)


@contextmanager
def _all_digits() -> Iterator[None]:
    cuda, cudnn, mkldnn = (getattr(torch.backends, name) for name in ("cuda", "cudnn", "mkldnn"))
    if hasattr(cudnn, "conv"):  # since torch 2.9, which can't read the older settings where these were used
        places = cuda.matmul, cudnn.conv, mkldnn.matmul, mkldnn.conv
        before = [place.fp32_precision for place in places]
        for place in places:
            place.fp32_precision = "ieee"
        yield
        for place, precision in zip(places, before, strict=True):
            place.fp32_precision = precision
        return
    products, convolutions = torch.get_float32_matmul_precision(), cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")
    cudnn.allow_tf32 = False
    yield
    torch.set_float32_matmul_precision(products)
    cudnn.allow_tf32 = convolutions


@contextmanager
def _float32() -> Iterator[None]:
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    yield
    torch.set_default_dtype(dtype)


_ALL_DIGITS, _FLOAT32 = _Everywhere(_all_digits), _Everywhere(_float32)


@contextmanager
def true_fp32() -> Iterator[None]:
    """Products and convolutions in fp32, whatever the caller has set: no autocast, as validation loops are often in,
    no TF32, NVIDIA's rounding to 10 bits, which PyTorch takes for convolutions by default, and no bf16 in their place
    on a CPU. New tensors are float32 and on the CPU where nothing else is said.
    """
    with _ALL_DIGITS, ExitStack() as stack, plain_defaults():
        for kind in filter(torch.amp.is_autocast_available, DEVICES):
            stack.enter_context(torch.autocast(kind, enabled=False))
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
