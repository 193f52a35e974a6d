"""The training loop: one for every model.

One optimiser step per player on the sum of its named terms. Everything random at step s is a function of (seed, s),
so a run that was killed and started again ends in the very weights of one that was not, and the models of one seed
see the same batches. The budget is counted in examples that the first player (a GAN's discriminator) sees.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import nn
from torch.optim import Optimizer
from tqdm import tqdm

from ganeval.devices import current
from ganeval.errors import GanevalError
from ganeval.files import write_result
from ganeval.registry import get_baseline
from ganeval_baselines import checkpoint
from ganeval_baselines.base import Model, Recipe
from ganeval_baselines.checkpoint import State
from ganeval_baselines.data import Batch, stream
from ganeval_baselines.log import Log
from ganeval_baselines.plan import Run

LOG_EVERY = 100
"""Steps between lines of the log, and between looks for NaN."""

CHECKPOINT_SECONDS = 30.0

NOISE, WEIGHTS = 2**32 - 1, 2**32 - 2
"""What a random stream is for, beside the data's own: a step's noise, the initial weights."""


def build(run: Run, device: torch.device) -> State:
    """The freshly initialised model of a run, and its optimisers."""
    torch.manual_seed(stream(run.seed, 0, WEIGHTS))
    model = get_baseline(run.model).fn(run.data, run.settings).to(device)
    average = deepcopy(model).requires_grad_(False) if run.settings.ema else None
    model.optimisers = {player: _optimiser(model, player, run.settings) for player in model.players}
    zero = dict.fromkeys(model.players, 0)
    return State(model, average, waited=dict(zero), turns=dict(zero))


def _optimiser(model: Model, player: str, settings: Recipe) -> Optimizer:
    rate = settings.learning_rate
    if player == "generator" and settings.generator_learning_rate is not None:
        rate = settings.generator_learning_rate
    weights = model.weights(player)
    if settings.optimiser == "adam":
        return torch.optim.Adam(weights, rate, (settings.beta1, settings.beta2), fused=True)
    if settings.optimiser == "rmsprop":
        return torch.optim.RMSprop(weights, rate)
    return torch.optim.SGD(weights, rate)


def train(
    run: Run,
    folder: Path,
    *,
    device: str = "cpu",
    progress: bool = False,
    look: Callable[[State], dict[str, float]] | None = None,
    look_every: int = 0,
    also: Callable[[dict[str, Any]], None] = lambda _: None,
) -> State:
    """Trains the run in `folder`, from its checkpoint where there is one, and returns the final state.

    look: called every `look_every` steps and after the last; the numbers that it returns go to the log.
    also: told every line of the log.
    The folder gets checkpoint.pt, log.jsonl (one line every LOG_EVERY steps) and config.json.
    Raises GanevalError for a checkpoint of another configuration, one that can't be read, or a second process here.
    """
    where = torch.device(device)
    with _alone(folder):
        state = build(run, where)
        log = Log(folder / "log.jsonl", also)
        if (folder / checkpoint.NAME).exists():
            checkpoint.restore(state, run, folder / checkpoint.NAME, where, goes_on=True)
        else:
            write_result(folder / "config.json", json.dumps(run.config(), indent=1).encode() + b"\n")
        log.rewind(state.step)
        _loop(state, run, folder, log, look, look_every, progress)
    return state


def finished(run: Run, folder: Path, device: str) -> State:
    """The final state of a run that was trained in `folder`. Raises GanevalError where there is none."""
    where, path = torch.device(device), folder / checkpoint.NAME
    if not path.exists():
        raise GanevalError(f"{path} is not there; name the folder of the runs, or train anew")
    state = build(run, where)
    checkpoint.restore(state, run, path, where)
    if state.step < run.steps:
        raise GanevalError(f"{path} is of step {state.step:,} of {run.steps:,}; let the training end first")
    return state


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keeps a second process out of the run's folder, and clears what a killed one was writing.

    Not its samples: they are written when the training has ended, perhaps by a process that is past the lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            for leftover in folder.glob(".*.partial"):
                if not leftover.name.startswith(".samples."):
                    leftover.unlink(missing_ok=True)
            yield
    except Timeout:
        raise GanevalError(f"another process is training in {folder}; wait for it, or choose another folder") from None


def _loop(
    state: State,
    run: Run,
    folder: Path,
    log: Log,
    look: Callable[[State], dict[str, float]] | None,
    look_every: int,
    progress: bool,
) -> None:
    """From state.step to the last, or to divergence."""
    device = next(state.model.parameters()).device
    saved = began = time.monotonic()
    before = state.seconds
    sums: dict[str, Any] = {}
    title = f"{run.model} {run.data.name}"
    with tqdm(total=run.steps, initial=state.step, unit="step", desc=title, disable=not progress) as bar:
        while state.step < run.steps and not state.diverged:
            one_step(state, run, sums, device)
            state.step += 1
            bar.update()
            state.seconds = before + time.monotonic() - began
            last = state.step == run.steps
            looks = look and look_every and (last or state.step % look_every == 0)
            # Before every look too: samples that are not finite have no score.
            if last or looks or state.step % LOG_EVERY == 0:
                _log(state, run, sums, log)
                sums = {}
            if look and looks and not state.diverged:
                paused = time.monotonic()
                log.write({"step": state.step, "examples": _examples(state, run), "metrics": look(state)})
                began += time.monotonic() - paused  # a look is no training
            if last or state.diverged or time.monotonic() - saved > CHECKPOINT_SECONDS:
                checkpoint.save(state, run, folder / checkpoint.NAME)
                saved = time.monotonic()


def _examples(state: State, run: Run) -> int:
    return state.step * run.settings.batch_size


def one_step(state: State, run: Run, sums: dict[str, Any], device: torch.device) -> None:
    """Step number state.step: each player that is due moves once, on the same batch."""
    model, settings = state.model, run.settings
    batch = run.data.batch(run.seed, state.step, settings.batch_size)
    batch = Batch(batch.real.to(device), None if batch.labels is None else batch.labels.to(device))
    # A stream beside the data's, (seed, step): from the same one, the latents would repeat the batch's own noise.
    _seed(stream(run.seed, state.step, NOISE), device)
    scale = 1 - state.step / run.steps if settings.decay == "linear" else 1.0
    if not model.training:
        model.train()
    for rank, player in enumerate(model.players):
        if rank and not model.due(player, state.waited[player], state.turns[player]):
            continue
        optimiser = model.optimisers[player]
        terms = model.loss(player, batch)
        optimiser.zero_grad(set_to_none=True)
        moving = [weight for group in optimiser.param_groups for weight in group["params"]]
        torch.stack(list(terms.values())).sum().backward(inputs=moving)
        for group in optimiser.param_groups:
            group["lr"] = group.setdefault("initial_lr", group["lr"]) * scale
        optimiser.step()
        model.after(player)
        state.turns[player] += 1
        state.waited[player] = 0
        if not rank:
            state.waited = {other: n + 1 for other, n in state.waited.items()}
        for name, value in terms.items():
            total = sums.setdefault(f"{player}/{name}", [0.0, 0])
            total[0], total[1] = total[0] + value.detach(), total[1] + 1
    if state.average is not None:
        _move_average(state.average, model, settings.ema)


def _seed(seed: int, device: torch.device) -> None:
    """torch.manual_seed for one device: it takes 70 microseconds to seek out all of them, half a small step."""
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        with current(device):
            torch.get_device_module(device).manual_seed(seed)


@torch.no_grad()
def _move_average(average: nn.Module, model: nn.Module, decay: float) -> None:
    for slow, fast in zip(average.parameters(), model.parameters(), strict=True):
        slow.lerp_(fast, 1 - decay)
    for kept, newest in zip(average.buffers(), model.buffers(), strict=True):
        kept.copy_(newest)


def _log(state: State, run: Run, sums: dict[str, Any], log: Log) -> None:
    means = {name: float(total) / count for name, (total, count) in sums.items()}
    bad = [name for name, value in means.items() if not math.isfinite(value)]
    # The last step's own gradient shows in no loss.
    bad += [name for name, weight in state.model.named_parameters() if not bool(weight.isfinite().all())]
    if bad:
        state.diverged = f"{bad[0]} is not finite by step {state.step}"
    terms = {name: None if name in bad else value for name, value in means.items()}
    log.write({"step": state.step, "examples": _examples(state, run), "loss": terms, "turns": state.turns})
