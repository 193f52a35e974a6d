"""Where the work is done, and copies that the device does not wait for."""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Generic, TypeVar

import torch
from torch import Tensor

import ganeval
from ganeval.distributed import number_of
from ganeval.errors import GanevalError
from ganeval.settings import Precision

T = TypeVar("T")
log = logging.getLogger(__name__)

DECODERS = 8
"""Processes that decode files for a GPU where no number is given, on as many cores at most."""
_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


def pick_device(name: str) -> torch.device:
    """The torch device called `name`; "auto" takes CUDA, then Apple's MPS, then the CPU.

    Raises GanevalError for a device that this machine does not have.
    """
    if name == "auto":
        mps = torch.backends.mps.is_available()
        # Under torchrun each process of a machine has a card of its own.
        cuda = f"cuda:{number_of('LOCAL_RANK', 0) % max(1, torch.cuda.device_count())}"
        return torch.device(cuda if torch.cuda.is_available() else "mps" if mps else "cpu")
    try:
        device = torch.device(name)
        # There and back: "meta" takes numbers, and gives none.
        torch.zeros(1, device=device).item()
        known = device.type != "cpu" or not device.index  # torch takes any number for the CPU, which is one
    except (RuntimeError, AssertionError, ImportError, TypeError):
        known = False
    if not known:
        raise GanevalError(f"this machine has no device {name!r}; try --device auto or --device cpu")
    return device


def current(device: torch.device) -> AbstractContextManager:
    """Makes a card the one that pinned memory belongs to: otherwise each process would open the first card too."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def decoders(device: torch.device, *, files: bool) -> int:
    """How many processes decode images where the user names no number: none, but for files that go to a CUDA card."""
    return min(DECODERS, os.cpu_count() or 1) if files and device.type == "cuda" else 0


def in_precision(device: torch.device, precision: Precision) -> AbstractContextManager:
    """Autocast for bf16 and fp16."""
    return torch.autocast(device.type, dtype=_AUTOCAST[precision]) if precision in _AUTOCAST else nullcontext()


class Sender:
    """Takes tensors to the device; to a CUDA card from pinned memory, on a stream beside the one that computes."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def __call__(self, tensor: Tensor) -> Tensor:
        if self.stream is None:
            return tensor.to(self.device)
        with torch.cuda.stream(self.stream):
            sent = tensor.to(self.device, non_blocking=True)
        computing = torch.cuda.current_stream(self.device)
        computing.wait_stream(self.stream)
        sent.record_stream(computing)
        return sent


def fetched(results: Iterable[tuple[Tensor, ...]], device: torch.device) -> Iterator[tuple[Tensor, ...]]:
    """The results on the CPU, in their order, each of them after the next was asked for.

    So a card computes one batch while the CPU prepares the next, and the CPU is never more than one batch ahead.
    """
    last: Callable[[], tuple[Tensor, ...]] | None = None
    for result in results:
        coming = _under_way(result, device)
        if last:
            yield last()
        last = coming
    if last:
        yield last()


def _under_way(result: tuple[Tensor, ...], device: torch.device) -> Callable[[], tuple[Tensor, ...]]:
    """Starts the copy to the CPU; the call waits for its end."""
    if device.type != "cuda":
        return lambda: tuple(tensor.cpu() for tensor in result)
    pinned = [tensor.to("cpu", non_blocking=True) for tensor in result]
    done = torch.cuda.current_stream(device).record_event()

    def arrive() -> tuple[Tensor, ...]:
        done.synchronize()
        return tuple(tensor.clone() for tensor in pinned)  # which frees the pinned memory for the next but one

    return arrive


class Fitting(Generic[T]):
    """A function of rows, called on as many at a time as fit the device's memory: half as many after each failure."""

    def __init__(self, function: Callable[[Tensor], T], device: torch.device, most: int) -> None:
        self.function, self.device, self.most = function, device, most

    def __call__(self, rows: Tensor) -> list[T]:
        """What it returns for each part of the rows. Raises GanevalError where a single row does not fit."""
        while True:
            try:
                return [self.function(part) for part in rows.split(self.most)]
            except RuntimeError as error:  # MPS has no type of its own for it
                if "out of memory" not in str(error):
                    raise
            # Out here, where the failure's traceback no longer holds its tensors.
            if self.most == 1:
                size = "x".join(map(str, rows.shape[:0:-1]))
                raise GanevalError(
                    f"{self.device} has too little memory for one image ({size}); "
                    "free some, pass --device cpu, or give smaller images"
                )
            self.most = max(1, min(self.most, len(rows)) // 2)
            if self.device.type in ("cuda", "mps"):
                torch.get_device_module(self.device).empty_cache()
            log.warning("%s is out of memory; going on with %d images at once", self.device, self.most)


def environment(device: torch.device) -> dict[str, str]:
    """What a number may depend on besides its inputs."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
    return {
        "ganeval": ganeval.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": name,
    }
