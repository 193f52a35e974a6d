"""The record of a run: one JSON document, of which leaderboards are made. docs/records.md says what the keys mean."""

from __future__ import annotations

import hashlib
import json
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import ganeval
from ganeval.files import write_result
from ganeval.leaderboard.records import SCHEMA
from ganeval.registry import get_baseline
from ganeval_baselines.plan import Run, recipe_of

PACKAGES = ("torch", "torchvision", "numpy", "scipy", "scikit-learn")


def frame(
    config: dict[str, Any], *, kind: str, title: str, evaluation: dict[str, Any], device: str = "cpu"
) -> dict[str, Any]:
    """What every record holds; config has the model, data, data_sha256 and seed."""
    return {
        "schema": SCHEMA, "data": config["data"], "model": config["model"], "seed": config["seed"], "kind": kind,
        "status": "ok", "reason": None, "network": config.get("network"), "title": title, "paper": None,
        "command": None, "config": config, "config_sha256": config_sha256(config), "tuned": 0, "budget": None,
        "evaluation": evaluation, "metrics": {}, "curve": [], "collapse": None, "data_sha256": config["data_sha256"],
        "samples_sha256": None, "code": {"ganeval": ganeval.__version__, "source_sha256": source_sha256()},
        "packages": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "device": device, "threads": torch.get_num_threads(), "seconds": {},
    }  # fmt: skip


def frame_of_run(run: Run, evaluation: dict[str, Any], turns: dict[str, int], device: str) -> dict[str, Any]:
    """The frame of a training run; turns: how often each player moved."""
    row = get_baseline(run.model)
    moves = list(turns.values())
    return {
        **frame(run.config(), kind=row.kind, title=row.title, evaluation=evaluation, device=device),
        "paper": row.paper,
        "command": command(run),
        "budget": {
            "examples": run.examples,
            "batch": run.settings.batch_size,
            "d_steps": moves[0] if moves else 0,
            "g_steps": moves[1] if len(moves) > 1 else None,
        },
    }


def config_sha256(config: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


@cache
def source_sha256() -> str:
    """The sha256 over the source of the suite: what trained a model, beside its configuration."""
    total = hashlib.sha256()
    root = Path(__file__).parent
    for path in sorted(root.rglob("*.py")):
        total.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return total.hexdigest()


def command(run: Run) -> str:
    """What trains this run again."""
    usual = vars(recipe_of(get_baseline(run.model), run.data))
    changed = [f" --set {key}={value}" for key, value in vars(run.settings).items() if usual[key] != value]
    words = f"ganeval train {run.model} --data {run.data.arguments} --seed {run.seed} --budget {run.examples}"
    threads = f" --threads {torch.get_num_threads()}" if torch.get_num_threads() > 1 else ""
    return words + threads + "".join(changed)


def describe(record: dict[str, Any]) -> str:
    """A record in a few words."""
    if record["status"] != "ok":
        return f"{record['status']}: {record['reason']}"
    shown = ("modes", "high_quality", "emd", "fid", "coverage", "test_error")
    rows = [record["metrics"][name] for name in shown if name in record["metrics"]]
    numbers = ", ".join(f"{row['title']} {row['value']:.4g}" for row in rows)
    return f"{numbers} ({record['seconds'].get('train', 0):.0f} s)"


def write(record: dict[str, Any], path: Path) -> None:
    """Writes a record, whole or not at all. Raises GanevalError naming the file and the system's reason."""
    write_result(path, (json.dumps(record, indent=1, sort_keys=True, allow_nan=False) + "\n").encode())
