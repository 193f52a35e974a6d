"""Made-up run records with known answers, for the tests of the leaderboard."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

BUDGET = {"examples": 3_200_000, "batch": 128, "d_steps": 25_000, "g_steps": 5_000}
EVALUATION = {
    "n_fake": 2500, "n_real": 2500, "reference": "ring8:test", "extractor": "points", "fingerprint": "points/v1",
    "primary": "fid", "sampling_seeds": 3, "checkpoint": "final",
}  # fmt: skip
NONE = {"verdict": "none", "kinds": [], "p_value": 0.4, "missing": []}
COLLAPSED = {"verdict": "collapsed", "kinds": ["dropped"], "p_value": 0.005, "missing": ["7"]}


def metric(value: float, title: str, better: str = "lower", **more: Any) -> dict[str, Any]:
    return {"value": value, "std_error": None, "interval": None, "evaluation_sd": 0.05, "better": better,
            "title": title, "options": {}} | more  # fmt: skip


def by_error(value: float, title: str = "Test error (%)") -> dict[str, Any]:
    """The keys of a classifier's record that differ."""
    parts = {"primary": "test_error", "n_fake": None, "extractor": None, "fingerprint": None}
    return {"kind": "classifier", "metrics": {"test_error": metric(value, title)}, "evaluation": EVALUATION | parts}


def record(model: str = "wgan_gp", seed: int = 0, fid: float = 1.0, **changes: Any) -> dict[str, Any]:
    """A finished run on ring8; `changes` replace whole keys."""
    data = changes.get("data", "ring8")
    return {
        "schema": "ganeval.record/1", "data": data, "model": model, "seed": seed, "kind": "gan", "status": "ok",
        "reason": None, "network": "mlp", "title": model.upper().replace("_", "-"), "paper": "arXiv:1704.00028",
        "command": f"ganeval train {model} --data {data} --seed {seed}", "config": {"lr": 0.0001, "seed": seed},
        "config_sha256": "c" * 64, "tuned": 0, "budget": BUDGET, "evaluation": EVALUATION,
        "metrics": {"fid": metric(fid, "FD (points)")},
        "curve": [{"step": s, "examples": 128 * s, "metrics": {"fid": fid * 10_000 / s}} for s in (1000, 5000, 10_000)],
        "collapse": NONE, "data_sha256": "d" * 64, "samples_sha256": f"{model}{seed}", "device": "cpu", "threads": 1,
        "code": {"ganeval": "0.1.0", "source_sha256": "e" * 64}, "packages": {"torch": "2.9.0"},
        "seconds": {"train": 31.2, "evaluate": 2.1},
    } | changes  # fmt: skip


def failed(model: str, seed: int, reason: str = "loss is NaN at step 812", **changes: Any) -> dict[str, Any]:
    unfinished = {"status": "diverged", "reason": reason, "metrics": {}, "collapse": None, "samples_sha256": None}
    return record(model, seed, **(unfinished | changes))


def sanity(model: str, fid: float, seed: int = 0, **changes: Any) -> dict[str, Any]:
    parts = {"kind": "sanity", "network": None, "budget": None, "curve": [], "collapse": None, "config": {}}
    return record(model, seed, fid, **(parts | changes))


def put(root: Path, *records: dict[str, Any]) -> None:
    """Writes records where `build` looks for them, in the order given."""
    for content in records:
        path = root / "records" / content["data"] / f"{content['model']}-seed{content['seed']}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1))


def models(**fids: list[float]) -> list[dict[str, Any]]:
    """A record for each seed of each model."""
    return [record(model, seed, fid) for model, values in fids.items() for seed, fid in enumerate(values)]


def png(side: int = 8) -> bytes:
    """A grey PNG of side x side pixels."""
    rows = b"".join(b"\0" + bytes((31 * x * y) % 256 for x in range(side)) for y in range(side))

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
