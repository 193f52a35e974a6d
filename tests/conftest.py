"""Fixtures shared by all tests: where real images lie, and a cache folder of the test's own."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

# Each of pytest-xdist's workers on one thread: small matrices gain nothing from more, and workers would fight.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real images: GANEVAL_DATA, else shared/data beside the checkout; skips where it is absent."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    root = Path(os.environ.get("GANEVAL_DATA", beside))
    if not root.is_dir():
        pytest.skip(f"no real images at {root}; set GANEVAL_DATA")
    return root


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps tests out of the user's cache, and the user's cache out of tests."""
    monkeypatch.setenv("GANEVAL_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """The command line, run by a test in its own process, takes the library's log; the next test has it again."""
    logger = logging.getLogger("ganeval")
    handlers, propagate = logger.handlers, logger.propagate
    yield
    logger.handlers, logger.propagate = handlers, propagate
