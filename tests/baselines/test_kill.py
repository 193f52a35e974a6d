"""kill -9 at a random moment of every model's training, and the same command again: bit for bit the same weights.

One process imports torch once; each model is then trained by a fork of it, which is killed.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import torch
from ganeval_baselines import train as harness
from ganeval_baselines.plan import Run
from ganeval_baselines.train import train

from ganeval.registry import BASELINES
from tests.baselines import test_classifiers
from tests.baselines.conftest import MODELS, home_of, run_of
from tests.baselines.test_train import kept, same

STEPS = 30
ALL = [*MODELS, *(name for name, row in BASELINES.items() if row.kind == "classifier")]


def short_run(model: str) -> Run:
    if model in MODELS:
        return run_of(model, home_of(model), steps=STEPS, ema=0.99)
    return test_classifiers.run(model, STEPS, 4)


def train_slowly(run: Run, folder: Path) -> None:
    """With a checkpoint at every step, and time to be killed in."""
    whole = harness.one_step

    def one_step(*given: object) -> None:
        time.sleep(0.02)
        whole(*given)  # type: ignore[arg-type]

    harness.one_step, harness.CHECKPOINT_SECONDS = one_step, 0.0
    train(run, folder)


def killed(run: Run, folder: Path) -> int:
    """The step of the last checkpoint of a training that was killed at a random moment after its first."""
    child = os.fork()
    if not child:
        try:
            train_slowly(run, folder)
        finally:
            os._exit(0)
    while not (folder / "checkpoint.pt").exists():
        if os.waitpid(child, os.WNOHANG)[0]:
            raise RuntimeError(f"{run.model}: the training ended before it could be killed")
        time.sleep(0.002)
    time.sleep(random.uniform(0, 0.4))
    os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
        raise RuntimeError(f"{run.model}: the training was not killed")
    return int(kept(folder)["step"])


def differs(model: str, root: Path) -> bool:
    run = short_run(model)
    step = killed(run, root / model / "killed")
    print(f"{model}: killed at step {step} of {STEPS}", flush=True)
    train(run, root / model / "killed")
    train(run, root / model / "whole")
    return not 0 < step < STEPS or not same(kept(root / model / "killed"), kept(root / model / "whole"))


@pytest.mark.slow
def test_every_model_comes_back_from_kill_9() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.baselines.test_kill"]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("killed at step") == len(ALL) >= 28


if __name__ == "__main__":
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        different = [model for model in ALL if differs(model, Path(scratch))]
    sys.exit(f"other weights after a kill: {different}" if different else 0)
