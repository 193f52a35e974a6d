"""The C library's memory allocator, told to keep the pages of a network's activations from batch to batch."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT = 2**30
"""Bytes; larger tensors are still mapped and unmapped each time."""
USUAL = 32 * 2**20
"""Where glibc's own threshold for mapping ends up after the first large tensors are freed."""


@contextmanager
def pages_kept() -> Iterator[None]:
    """Large tensors within the block reuse the pages of freed ones, which are handed back at its end.

    By default glibc maps every tensor above 32 MB anew and unmaps it, and the kernel clears its pages each time: a
    third of the CPU time of a convolutional network. No number changes. Does nothing without glibc.
    """
    libc = _glibc()
    if libc is None:
        yield
        return
    libc.mallopt(M_MMAP_THRESHOLD, KEPT)
    libc.mallopt(M_TRIM_THRESHOLD, KEPT)
    try:
        yield
    finally:
        libc.mallopt(M_MMAP_THRESHOLD, USUAL)
        libc.mallopt(M_TRIM_THRESHOLD, 2 * USUAL)
        libc.malloc_trim(0)


@cache
def _glibc() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "gnu_get_libc_version") else None
