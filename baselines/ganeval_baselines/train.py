"""The training loop: one for every model.

One optimiser step per player on the sum of its named terms. Everything random at step s is a function of (seed, s),
so a run that was killed and started again ends in the very weights of one that was not, and the models of one seed
see the same batches. The budget is counted in examples that the first player (a GAN's discriminator) sees.
"""

from __future__ import annotations

import dataclasses
import io
import json
import math
import struct
import time
import zipfile
import zlib
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, get_args, get_origin, get_type_hints

import torch
from torch import nn
from torch.optim import Optimizer
from tqdm import tqdm

from ganeval.errors import GanevalError, unknown
from ganeval.files import atomic_write, write_result
from ganeval.registry import Baseline, get_baseline
from ganeval_baselines.base import Model, Recipe
from ganeval_baselines.data import Batch, Images, Mixture, stream
from ganeval_baselines.nets import family

LOG_EVERY = 100
"""Steps between lines of the log, and between looks for NaN."""

CHECKPOINT_SECONDS = 30.0

NOISE, WEIGHTS = 2**32 - 1, 2**32 - 2
"""What a random stream is for, beside the data's own: a step's noise, the initial weights."""


@dataclass(frozen=True)
class Run:
    """One training run, fully stated: its configuration is all that its final weights depend on.

    examples: the budget, in examples that the first player sees.
    """

    model: str
    data: Mixture | Images
    seed: int
    examples: int
    settings: Recipe

    @property
    def steps(self) -> int:
        return -(-self.examples // self.settings.batch_size)

    def config(self) -> dict[str, Any]:
        """Flat and JSON-able."""
        return {
            "model": self.model, "data": self.data.name, "data_sha256": self.data.sha256, "seed": self.seed,
            "network": network_of(get_baseline(self.model), self.data), "examples": self.examples,
            **dataclasses.asdict(self.settings),
        }  # fmt: skip


def plan(model: str, data: Mixture | Images, seed: int, examples: int, changes: Mapping[str, str] | None = None) -> Run:
    """A run of the registered `model` by its recipe, with `changes` to it as a command line gives them.

    Raises GanevalError for an unknown model or setting, a value of a wrong type, a model that needs labels on data
    without, or images that there is no network for.
    """
    row = get_baseline(model)
    if row.labels and not data.classes:
        raise GanevalError(f"{row.name} needs class labels, and {data.name} has none; put images into class folders")
    if isinstance(data, Mixture) and not row.points:
        raise GanevalError(f"{row.name} trains on images, and {data.name} is a 2-D mixture")
    network_of(row, data)
    if examples < 1:
        raise GanevalError(f"the budget is {examples} examples; give 1 or more")
    if seed < 0:
        raise GanevalError(f"the seed is {seed}; give 0 or more")
    return Run(row.name, data, seed, examples, _changed(recipe_of(row, data), changes or {}, row.name))


def network_of(row: Baseline, data: Mixture | Images) -> str:
    """The family of networks that a GAN takes for this data; a classifier is its own. Raises where there is none."""
    return family(data.shape) if row.kind == "gan" else "own"


def recipe_of(row: Baseline, data: Mixture | Images) -> Recipe:
    """The settings of a model on this data as they come."""
    kind: Any = row.fn
    return dataclasses.replace(kind.recipe, **(kind.on_points if isinstance(data, Mixture) else {}))


def _changed(recipe: Recipe, changes: Mapping[str, str], model: str) -> Recipe:
    hints = get_type_hints(type(recipe))
    values = {}
    for key, text in changes.items():
        key = key.replace("-", "_")
        if key not in hints:
            raise unknown(f"setting of {model}", key, hints)
        values[key] = _parsed(text, hints[key], f"setting {key} of {model}")
    recipe = dataclasses.replace(recipe, **values)
    if recipe.batch_size < 2:
        raise GanevalError(f"batch_size is {recipe.batch_size}; batch normalisation needs 2 or more")
    return recipe


def _parsed(text: str, kind: Any, what: str) -> Any:
    """Text as a setting's declared type: bool, int, float, a Literal, or one of these or None."""
    options = get_args(kind)
    if options and get_origin(kind) is not None and all(isinstance(option, str) for option in options):
        if text not in options:
            raise GanevalError(f"{what} must be {' or '.join(options)}, got {text!r}")
        return text
    kinds = options or (kind,)
    if type(None) in kinds and text.lower() == "none":
        return None
    wanted = next(k for k in kinds if k is not type(None))
    try:
        value = {"true": True, "false": False}[text.lower()] if wanted is bool else wanted(text)
    except (ValueError, KeyError):
        name = {bool: "true or false", int: "a whole number", float: "a number"}.get(wanted, wanted.__name__)
        raise GanevalError(f"{what} must be {name}, got {text!r}") from None
    if not 0 <= value < math.inf:
        raise GanevalError(f"{what} must be 0 or more, got {text!r}")
    return value


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
    Raises GanevalError for a checkpoint of another configuration, or one that can't be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    where = torch.device(device)
    state = build(run, where)
    log = Log(folder / "log.jsonl", also)
    if (folder / "checkpoint.pt").exists():
        _restore(state, run, folder / "checkpoint.pt", where)
        log.rewind(state.step)
    else:
        write_result(folder / "config.json", json.dumps(run.config(), indent=1).encode() + b"\n")
        log.rewind(0)
    bar = tqdm(
        total=run.steps, initial=state.step, unit="step", desc=f"{run.model} {run.data.name}", disable=not progress
    )
    saved = began = time.monotonic()
    before = state.seconds
    sums: dict[str, Any] = {}
    with bar:
        while state.step < run.steps and not state.diverged:
            one_step(state, run, sums, where)
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
                log.write({"step": state.step, "examples": _examples(state, run), "metrics": look(state)})
            if last or state.diverged or time.monotonic() - saved > CHECKPOINT_SECONDS:
                _save(state, run, folder / "checkpoint.pt")
                saved = time.monotonic()
    return state


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
        torch.stack(list(terms.values())).sum().backward(
            inputs=[w for group in optimiser.param_groups for w in group["params"]]
        )
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


class Log:
    """A JSON-lines file; each line has its step. `also` is told every line."""

    def __init__(self, path: Path, also: Callable[[dict[str, Any]], None] = lambda _: None) -> None:
        self.path, self.also = path, also

    def write(self, line: dict[str, Any]) -> None:
        try:
            with self.path.open("a") as file:
                file.write(json.dumps(line, allow_nan=False) + "\n")
        except OSError as error:
            raise GanevalError(
                f"could not write {self.path}: {error.strerror}; the last checkpoint is whole"
            ) from error
        self.also(line)

    def rewind(self, step: int) -> None:
        """Drops the lines after `step`, and one that was cut short: the run will write them again."""
        lines = [line for line in self.lines() if line["step"] <= step]
        write_result(self.path, "".join(json.dumps(line) + "\n" for line in lines).encode())

    def lines(self) -> list[dict[str, Any]]:
        found = []
        for line in self.path.read_text().splitlines() if self.path.exists() else []:
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError:
                break
        return found


def _save(state: State, run: Run, path: Path) -> None:
    content = {
        "config": run.config(), "step": state.step, "waited": state.waited, "turns": state.turns,
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


def _read(path: Path, device: torch.device) -> dict[str, Any]:
    """What a checkpoint holds, once its checksums are right: torch itself loads a file with a flipped bit."""
    file = io.BytesIO(path.read_bytes())
    damage: object
    try:
        with zipfile.ZipFile(file) as archive:
            damage = archive.testzip()
        file.seek(0)
        content = None if damage else torch.load(file, map_location=device, weights_only=True)
        if isinstance(content, dict) and "config" in content:
            return content
    except (zipfile.BadZipFile, zlib.error, struct.error, UnpicklingError, RuntimeError, ValueError, EOFError) as error:
        damage = error
    raise GanevalError(f"{path} is no whole checkpoint ({damage or 'no configuration'}); delete it to begin anew")


def _restore(state: State, run: Run, path: Path, device: torch.device) -> None:
    content = _read(path, device)
    config = content["config"]
    differs = [key for key in {**config, **run.config()} if config.get(key) != run.config().get(key)]
    if differs:
        key = differs[0]
        raise GanevalError(
            f"{path} belongs to another run: {key} is {config.get(key)!r} there and {run.config().get(key)!r} here; "
            "choose another --out, or delete it"
        )
    state.model.load_state_dict(content["model"])
    if state.average is not None:
        state.average.load_state_dict(content["average"])
    for player, optimiser in state.model.optimisers.items():
        optimiser.load_state_dict(content["optimisers"][player])
    state.step, state.waited, state.turns = content["step"], content["waited"], content["turns"]
    state.seconds, state.diverged = content["seconds"], content["diverged"]
