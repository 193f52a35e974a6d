"""A run from its plan to its record: train, sample, score, and write the JSON that leaderboards are made of."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import time
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import ganeval
from ganeval.errors import GanevalError
from ganeval.files import atomic_write, write_result
from ganeval.registry import get_baseline
from ganeval_baselines import evaluate
from ganeval_baselines.data import Images, Mixture
from ganeval_baselines.evaluate import Judge, Samples
from ganeval_baselines.nets import family
from ganeval_baselines.train import Log, Run, State, recipe_of, train

SCHEMA = "ganeval.record/1"
LOOKS = 10
"""Times that a run is scored while it trains."""

PACKAGES = ("torch", "torchvision", "numpy", "scipy", "scikit-learn")
CELLS = 8
"""A thumbnail is a square of this many samples a side."""


@cache
def source_sha256() -> str:
    """The sha256 over the source of the suite: what trained a model, beside its configuration."""
    total = hashlib.sha256()
    root = Path(__file__).parent
    for path in sorted(root.rglob("*.py")):
        total.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return total.hexdigest()


def carry_out(run: Run, folder: Path, judge: Judge, *, device: str = "cpu", progress: bool = False) -> dict[str, Any]:
    """Trains the run in `folder` (or takes up its checkpoint), writes samples.npz and samples.png, returns its record.

    A run whose loss is not finite gives a record of status "diverged".
    """

    def look(state: State) -> dict[str, float]:
        if progress:
            _picture(evaluate.draw(state.sampler, run.data, CELLS**2, run.seed, 2**35), folder / "latest.png", run.data)
        return dict(evaluate.curve_row(state.sampler, judge, run.seed))

    state = train(run, folder, device=device, progress=progress, look=look, look_every=max(1, run.steps // LOOKS))
    record = _frame(run, judge, state.turns, state.seconds, device)
    if state.diverged:
        return {**record, "status": "diverged", "reason": state.diverged}
    began = time.monotonic()
    rows, samples = evaluate.final_rows(state.sampler, judge, run.seed)
    record["seconds"]["evaluate"] = round(time.monotonic() - began, 1)
    record |= {"metrics": rows, "samples_sha256": samples.sha256, "collapse": None}
    record["curve"] = [line for line in Log(folder / "log.jsonl").lines() if "metrics" in line]
    with atomic_write(folder / "samples.npz") as file:
        np.savez_compressed(file, allow_pickle=False, **_arrays(samples))
    _picture(samples, folder / "samples.png", run.data)
    return record


def failure(run: Run, judge: Judge, device: str, reason: str) -> dict[str, Any]:
    """The record of a run that an error ended."""
    return {**_frame(run, judge, {}, 0.0, device), "status": "failed", "reason": reason}


def _frame(run: Run, judge: Judge, turns: dict[str, int], seconds: float, device: str) -> dict[str, Any]:
    """The record's part that does not depend on the samples."""
    row = get_baseline(run.model)
    settings = run.settings
    n = evaluate.sample_size(judge)
    moves = list(turns.values())
    return {
        "schema": SCHEMA, "data": run.data.name, "model": run.model, "seed": run.seed, "kind": row.kind,
        "status": "ok", "reason": None, "network": family(run.data.shape), "title": row.title, "paper": row.paper,
        "command": command(run), "config": run.config(), "config_sha256": run.sha256(), "tuned": 0,
        "budget": {
            "examples": run.examples, "batch": settings.batch_size, "d_steps": moves[0] if moves else 0,
            "g_steps": moves[1] if len(moves) > 1 else None,
        },
        "evaluation": {
            "n_fake": n, "n_real": judge.n, "reference": f"{run.data.name}:test", "extractor": judge.extractor,
            "fingerprint": judge.real.fingerprint, "sampling_seeds": evaluate.SAMPLING_SEEDS, "checkpoint": "final",
        },
        "metrics": {}, "curve": [], "collapse": None, "data_sha256": run.data.sha256, "samples_sha256": None,
        "code": {"ganeval": ganeval.__version__, "source_sha256": source_sha256()},
        "packages": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "device": device, "threads": torch.get_num_threads(), "seconds": {"train": round(seconds, 1)},
    }  # fmt: skip


def command(run: Run) -> str:
    """What trains this run again."""
    row = get_baseline(run.model)
    recipe = vars(recipe_of(row, run.data))
    changed = [f" --set {key}={value}" for key, value in vars(run.settings).items() if recipe[key] != value]
    return (
        f"ganeval train {run.model} --data {run.data.name} --seed {run.seed} --budget {run.examples}{''.join(changed)}"
    )


def _arrays(samples: Samples) -> dict[str, np.ndarray]:
    """arr_0, images as NHWC, and their labels where they were asked for."""
    content = samples.content
    arrays = {"arr_0": (content.permute(0, 2, 3, 1) if content.ndim == 4 else content).numpy()}
    return arrays if samples.labels is None else {**arrays, "labels": samples.labels.numpy()}


def _picture(samples: Samples, path: Path, data: Mixture | Images) -> None:
    picture = _scatter(samples.content, data) if isinstance(data, Mixture) else _grid(samples.content[: CELLS**2])
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    write_result(path, buffer.getvalue())


def _grid(images: Tensor, side: int = 256) -> Image.Image:
    """The images (CELLS^2, C, H, W) in a square, at least `side` pixels wide, each pixel a whole number of times."""
    rows = [torch.cat(list(row), 2) for row in images.split(CELLS)]
    sheet = torch.cat(rows, 1).permute(1, 2, 0).numpy()
    picture = Image.fromarray(sheet[..., 0] if sheet.shape[2] == 1 else sheet)
    scale = max(1, side // picture.width)
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)


def _scatter(points: Tensor, mixture: Mixture, side: int = 256) -> Image.Image:
    """A two-dimensional histogram, darker where points are many, the true modes ringed by their high-quality radius."""
    reach = float(mixture.centres.abs().max()) * 1.25
    cells = ((points / reach + 1) / 2 * side).long()
    inside = cells[((cells >= 0) & (cells < side)).all(1)]
    counts = torch.bincount(inside[:, 0] + side * (side - 1 - inside[:, 1]), minlength=side * side).view(side, side)
    grey = 255 - (counts.clamp(max=4).float() * 60).to(torch.uint8)
    return Image.fromarray(grey.numpy())


def write(record: dict[str, Any], path: Path) -> None:
    """Writes a record, whole or not at all."""
    write_result(path, (json.dumps(record, indent=1, sort_keys=True, allow_nan=False) + "\n").encode())


def read(path: Path) -> dict[str, Any]:
    """A record. Raises GanevalError for a file that holds none."""
    try:
        record = json.loads(path.read_bytes())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise GanevalError(f"{path} is no whole record ({error}); delete it, and the run is made again") from None
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        raise GanevalError(f"{path} is no record of {SCHEMA}; delete it, and the run is made again")
    return record
