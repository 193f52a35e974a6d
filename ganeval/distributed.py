"""Several processes of one job: who this is, what is its share, and what all of them know together.

Processes are started by torchrun, on one machine or several; values travel over the CPU (gloo, or the backend of a
group that is running already).
"""

from __future__ import annotations

import atexit
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from ganeval.errors import GanevalError, said

T = TypeVar("T")
PATIENCE = timedelta(hours=12)
"""How long one rank waits for another: as long as a slow one may take over its images. One that dies is noticed."""

POLL, GRACE = 0.1, 5.0
FEW = 4
"""Processes that any machine may be asked for."""


def started() -> bool:
    """Whether torchrun, or `launch`, has started this process as one of several.

    Raises GanevalError where the variables that say so are no such numbers.
    """
    world = number_of("WORLD_SIZE", 1)
    if world < 2 or "RANK" not in os.environ:
        return False
    if not 0 <= (own := number_of("RANK", 0)) < world:
        raise GanevalError(f"RANK={own} with WORLD_SIZE={world}: give each process a number from 0 to {world - 1}")
    return True


def number_of(name: str, default: int) -> int:
    """What a variable that torchrun sets says. Raises GanevalError where it is no whole number."""
    text = os.environ.get(name, default)
    try:
        return int(text)
    except ValueError:
        raise GanevalError(f"{name}={text!r} is no whole number; unset it, or start the job by torchrun") from None


def join() -> bool:
    """Takes this process into the group that it was started in; False where it was started alone.

    Raises GanevalError where that can't be, as without an address to meet at.
    """
    if not started():
        return False
    import torch.distributed as dist

    if not dist.is_initialized():
        try:
            with _greetings_unheard():
                dist.init_process_group("gloo", timeout=PATIENCE)
        except (ValueError, RuntimeError) as error:
            raise GanevalError(f"can't meet the other processes ({said(error)}); start the job by torchrun, or unset "
                               "WORLD_SIZE for a process alone") from None  # fmt: skip
        # Threads of a group that is still there when Python ends abort the process, about one time in ten.
        atexit.register(dist.destroy_process_group)
    return True


@contextmanager
def _greetings_unheard() -> Iterator[None]:
    """Of torch 2.8 to 2.10 at least, gloo writes a line to stdout, where a report may follow that a program reads."""
    with open(os.devnull, "wb") as nowhere:
        kept = os.dup(1)
        os.dup2(nowhere.fileno(), 1)
        try:
            yield
        finally:
            os.dup2(kept, 1)
            os.close(kept)


def running() -> bool:
    """Whether this process is one of a group, as under torchrun, DDP, Lightning or Accelerate."""
    import torch.distributed as dist

    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def rank() -> int:
    """This process's number in the group; 0 for one alone."""
    import torch.distributed as dist

    return dist.get_rank() if running() else 0


def share(n: int, batch_size: int) -> list[int]:
    """Which of n images are this rank's: whole batches in turn, without padding; a rank may get none.

    Not image by image: in whole batches each image has the neighbours that it would have in one process, and so the
    same features to the bit.
    """
    import torch.distributed as dist

    firsts = range(rank() * batch_size, n, dist.get_world_size() * batch_size)
    return [i for first in firsts for i in range(first, min(first + batch_size, n))]


def gather(value: T, group: Any = None) -> list[T]:
    """The value of every rank, in the order of ranks, on every rank; alone, the own one. All ranks must call this.

    group: of which ranks, where not of all. An exception given as value is raised on every rank, so that none waits
    for one that has failed.
    Raises GanevalError where another process has died.
    """
    if not running():
        values: list[T | None] = [value]
    else:
        import torch.distributed as dist

        values = [None] * dist.get_world_size(group)
        with _all_alive():
            dist.all_gather_object(values, value, group=group)
    for found in values:
        if isinstance(found, Exception):
            if isinstance(found, GanevalError):
                found.of_all = True
            raise found
    return values  # type: ignore[return-value]


@contextmanager
def failing_together() -> Iterator[None]:
    """An error of one rank becomes that of all: the others raise it at the `gather` that they wait in."""
    try:
        yield
    except GanevalError as error:
        if running() and not error.of_all:
            gather(error)
        raise


def fold(value: T, add: Callable[[T, T], T]) -> T:
    """The values of all ranks added in the order of ranks, on every rank, of which none holds more than two at a time.

    All ranks must call this. Raises GanevalError where another process has died.
    """
    if not running():
        return value
    import torch.distributed as dist

    total: list[T] = []
    for source in range(dist.get_world_size()):
        box = [value if source == dist.get_rank() else None]
        with _all_alive():
            dist.broadcast_object_list(box, source)
        total = [add(total[0], box[0]) if total else box[0]]  # type: ignore[arg-type, list-item]
    return total[0]


@contextmanager
def _all_alive() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise GanevalError(f"another process of this job has ended ({error}); its own message says why") from None


def deal(costs: Sequence[float]) -> list[int]:
    """Which rank does each of these jobs: the dearest first, each to the one with the least to do; alone, all are 0's.

    Every rank comes to the same answer.
    """
    import torch.distributed as dist

    loads = [0.0] * (dist.get_world_size() if running() else 1)
    ranks = [0] * len(costs)
    for job in sorted(range(len(costs)), key=lambda job: -costs[job]):
        ranks[job] = loads.index(min(loads))
        loads[ranks[job]] += costs[job]
    return ranks


def check_processes(processes: int, device: str) -> None:
    """Raises GanevalError for more than FEW and than there are CUDA cards, or cores where none is to be used."""
    if processes <= FEW:
        return
    import torch

    cards = 0 if device == "cpu" else torch.cuda.device_count()
    most, of = (cards, "CUDA card") if cards else (os.cpu_count() or 1, "processor core")
    if processes > most:
        raise GanevalError(f"--gpus {processes}: this machine has {most} {of}{'s' * (most > 1)}; "
                           f"give 1 to {max(FEW, most)}")  # fmt: skip


def launch(processes: int, device: str) -> int:
    """Runs the command line of this process in so many that share its work; returns the exit code.

    What `torchrun --standalone --nproc-per-node N -m ganeval ...` does, without its own reports. When one process
    fails the others are ended within seconds.
    Raises GanevalError for more processes than `check_processes` lets pass, and where the first could not say why.
    """
    check_processes(processes, device)
    # Ended from outside, it ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(processes)}
    threads = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // processes))}
    started_ones: list[subprocess.Popen[bytes]] = []
    try:
        for i in range(processes):
            environment = {**threads, **os.environ, **group, "RANK": str(i), "LOCAL_RANK": str(i)}
            started_ones.append(subprocess.Popen([sys.executable, "-m", "ganeval", *sys.argv[1:]], env=environment))
        _wait(started_ones, lambda codes: None not in codes or any(codes))
        # One that fails is noticed by the others, and the first says so; it may also be too busy to notice.
        _wait(started_ones, lambda codes: None not in codes, GRACE)
        codes = [process.poll() for process in started_ones]
    finally:
        for process in started_ones:
            process.terminate()
            process.wait()
    if codes[0] is None or codes[0] < 0 or (not codes[0] and any(codes)):
        ended = next(f"{i} with {code}" for i, code in enumerate(codes) if code)
        raise GanevalError(f"of the {processes} processes number {ended} ended early; nothing was written")
    return codes[0]


def _wait(
    processes: list[subprocess.Popen[bytes]], done: Callable[[list[int | None]], bool], seconds: float = math.inf
) -> None:
    """Until what `done` says of the exit codes, None for a process that runs, or so many seconds have passed."""
    deadline = time.monotonic() + seconds
    while not done([process.poll() for process in processes]) and time.monotonic() < deadline:
        time.sleep(POLL)
