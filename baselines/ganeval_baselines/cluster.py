"""Where the runs of a bench go: this machine's processes, or a Dask or Ray cluster by joblib's own backends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from ganeval.errors import GanevalError

BACKENDS = ("loky", "dask", "ray")
"""Processes all: threads would share torch's global random state, and no run would be a function of its seed."""


@contextmanager
def workers(backend: str, jobs: int, address: str | None) -> Iterator[Literal["generator_unordered", "list"]]:
    """joblib's backend for the time of a block, and how `joblib.Parallel` may return: Ray's gives all at the end.

    address: of a running cluster; without one, Dask and Ray start their own on this machine, with `jobs` workers.
    Raises GanevalError where the backend's package is not installed.
    """
    import joblib

    if backend == "loky":
        with joblib.parallel_config(backend="loky", n_jobs=jobs):
            yield "generator_unordered"
    elif backend == "dask":
        try:
            from distributed import Client
        except ImportError:
            raise GanevalError("--backend dask needs its package: pip install 'ganeval[dask]'") from None
        own = {} if address else {"n_workers": jobs, "threads_per_worker": 1, "dashboard_address": None}
        with Client(address, **own), joblib.parallel_config(backend="dask"):
            yield "generator_unordered"
    elif backend == "ray":
        if not address:
            # Under `uv run`, Ray would make an environment of its own for each worker, which lacks the extras of this
            # one. Workers on this machine take the environment that they are started from. Ray reads it on import.
            os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
        try:
            import ray
            from ray.util.joblib import register_ray
        except ImportError:
            raise GanevalError("--backend ray needs its package: pip install 'ganeval[ray]'") from None
        ray.init(address=address, num_cpus=None if address else jobs)
        register_ray()
        try:
            with joblib.parallel_config(backend="ray", n_jobs=jobs):
                yield "list"
        finally:
            ray.shutdown()
    else:
        raise GanevalError(f"unknown backend {backend!r}; known: {', '.join(BACKENDS)}")
