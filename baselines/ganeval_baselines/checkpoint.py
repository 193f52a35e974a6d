"""All that a run changes, and how it is kept: whole or not at all, and read only where it is whole."""

from __future__ import annotations

import inspect
import io
import logging
import struct
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import nn

from ganeval.errors import GanevalError
from ganeval.files import atomic_write, sha256_file
from ganeval_baselines.base import Model
from ganeval_baselines.plan import Run

NAME = "checkpoint.pt"
log = logging.getLogger("ganeval.baselines")


@dataclass
class State:
    """All that a checkpoint holds, and what the loop changes."""

    model: Model
    average: nn.Module | None
    step: int = 0
    waited: dict[str, int] = field(default_factory=dict)
    turns: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    diverged: str | None = None

    @property
    def sampler(self) -> Any:
        """The model that is sampled: its moving average, where one is kept."""
        return self.average or self.model


def save(state: State, run: Run, path: Path) -> None:
    """Writes a checkpoint. Raises GanevalError where it can't be written; the one before stays whole."""
    content = {
        "config": run.config(), "code": code_of(state.model), "rounding": rounding(state),
        "step": state.step, "waited": state.waited, "turns": state.turns,
        "seconds": state.seconds, "diverged": state.diverged, "model": state.model.state_dict(),
        "average": state.average.state_dict() if state.average else None,
        "optimisers": {player: optimiser.state_dict() for player, optimiser in state.model.optimisers.items()},
    }  # fmt: skip
    # By way of memory: on a full disk torch's own writer gives a RuntimeError that names neither file nor reason.
    buffer = io.BytesIO()
    torch.save(content, buffer)
    try:
        with atomic_write(path) as file:
            file.write(buffer.getbuffer())
    except OSError as error:
        raise GanevalError(f"could not write {path}: {error.strerror}; the last checkpoint is whole") from error


def read(path: Path, device: torch.device) -> dict[str, Any]:
    """What a checkpoint holds, once its checksums are right: torch itself loads a file with a flipped bit."""
    file = io.BytesIO(path.read_bytes())
    damage: object
    try:
        with zipfile.ZipFile(file) as archive:
            damage = archive.testzip()
        file.seek(0)
        if not damage:
            content = torch.load(file, map_location=device, weights_only=True)
            return content if isinstance(content, dict) else {}
    except (zipfile.BadZipFile, zlib.error, struct.error, UnpicklingError, RuntimeError, ValueError, EOFError) as error:
        damage = error
    raise GanevalError(f"{path} is no whole checkpoint ({damage}); delete it to begin anew")


def rounding(state: State) -> str:
    """Where a run is computed, as far as it moves the last digits, and so the weights in which the run ends."""
    kind = next(state.model.parameters()).device.type
    return f"{kind} with {torch.get_num_threads()} thread(s)" if kind == "cpu" else kind


def code_of(model: Model) -> str | None:
    """The sha256 of the file that defines a model; None where there is no file."""
    try:
        return sha256_file(inspect.getfile(type(model)))
    except (TypeError, OSError):
        return None


def restore(state: State, run: Run, path: Path, device: torch.device, *, goes_on: bool = False) -> None:
    """Takes up a checkpoint. Raises GanevalError for one that is damaged, of another configuration or network, or,
    where training goes on from it, of a model whose file has changed since."""
    content = read(path, device)
    if "config" not in content:
        raise GanevalError(f"{path} is no checkpoint of `ganeval train`; delete it to begin anew")
    config = content["config"]
    differs = [key for key in {**config, **run.config()} if config.get(key) != run.config().get(key)]
    if differs:
        key = differs[0]
        raise GanevalError(
            f"{path} belongs to another run: {key} is {config.get(key)!r} there and {run.config().get(key)!r} here; "
            "choose another --out, or delete it"
        )
    # Checkpoints had no code at first.
    if goes_on and content.get("code", code_of(state.model)) != code_of(state.model):
        raise GanevalError(
            f"{path} is of {run.model} as it was before its file {inspect.getfile(type(state.model))} changed; "
            "delete it to train anew, or choose another --out"
        )
    try:
        state.model.load_state_dict(content["model"])
    except RuntimeError as error:
        raise GanevalError(
            f"{path} does not fit {run.model}'s network: {str(error).splitlines()[-1].strip()}"
        ) from None
    if state.average is not None:
        state.average.load_state_dict(content["average"])
    for player, optimiser in state.model.optimisers.items():
        optimiser.load_state_dict(content["optimisers"][player])
    state.step, state.waited, state.turns = content["step"], content["waited"], content["turns"]
    state.seconds, state.diverged = content["seconds"], content["diverged"]
    here = rounding(state)
    more = goes_on and state.step < run.steps and not state.diverged
    if more and (there := content.get("rounding", here)) != here:
        log.warning("%s is of a run on %s that goes on on %s: it will not end in the weights of an uninterrupted one",
                    path, there, here)  # fmt: skip
