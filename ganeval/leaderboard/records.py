"""Run records: one training run a JSON file, checked on the way in. docs/records.md says what each key means."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganeval.errors import GanevalError

SCHEMA = "ganeval.record/1"
FOLDER = "records"

NUMBER = (int, float)
NONE = type(None)
LARGEST = 1e100
"""What metrics and seconds lie within: a mean of squares of float32 reaches 1e77, and squares of these are numbers."""
LARGEST_PNG = 100_000
"""Bytes that a model's thumbnail grid is below."""
NAME = "[A-Za-z0-9_.+-]+"
"""What data and models may be called."""
KEYS: dict[str, tuple[type, ...]] = {
    "schema": (str,), "data": (str,), "model": (str,), "seed": (int,), "kind": (str,), "status": (str,),
    "reason": (str, NONE), "network": (str, NONE), "title": (str,), "paper": (str, NONE), "command": (str, NONE),
    "config": (dict,), "config_sha256": (str, NONE), "tuned": (int,), "budget": (dict, NONE), "evaluation": (dict,),
    "metrics": (dict,), "curve": (list,), "collapse": (dict, NONE), "data_sha256": (str,),
    "samples_sha256": (str, NONE), "code": (dict,), "packages": (dict,), "device": (str,), "threads": (int, NONE),
    "seconds": (dict,),
}  # fmt: skip
EVALUATION: dict[str, tuple[type, ...]] = {
    "n_fake": (int, NONE), "n_real": (int,), "reference": (str,), "extractor": (str, NONE),
    "fingerprint": (str, NONE), "primary": (str,), "sampling_seeds": (int, NONE), "checkpoint": (str,),
    "version": (int,),
}  # fmt: skip
METRIC: dict[str, tuple[type, ...]] = {"value": NUMBER, "better": (str,), "title": (str,), "options": (dict,)}
SPREAD: dict[str, tuple[type, ...]] = {"evaluation_sd": (*NUMBER, NONE)}
"""A key of a metric that need not be there."""
POINT: dict[str, tuple[type, ...]] = {"step": (int,), "examples": (int,), "metrics": (dict,)}
VERDICT: dict[str, tuple[type, ...]] = {"verdict": (str,), "kinds": (list,)}
CHOICES = {
    "kind": ("gan", "classifier", "sanity"),
    "status": ("ok", "diverged", "failed"),
    "better": ("lower", "higher", "half", "zero"),
    "verdict": ("none", "suspected", "collapsed", "undetermined"),
}


@dataclass(frozen=True)
class Record:
    """One checked run. `content` is the JSON document as it stands in the file."""

    path: str
    content: Mapping[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.content[key]

    @property
    def finished(self) -> bool:
        return self["status"] == "ok"

    def value(self, metric: str) -> float | None:
        """The metric of the last checkpoint; None where the run did not finish or has no such metric."""
        return float(self["metrics"][metric]["value"]) if self.finished and metric in self["metrics"] else None


def load(root: Path) -> dict[str, list[Record]]:
    """{data set: its records in the order of model and seed} of the files root/records/<data>/<model>-seed<k>.json.

    Raises GanevalError naming the first file that can't be trusted: unreadable, not JSON, another schema, a key that
    is absent or of another type, a number that is not finite, a name that its content contradicts, a run met twice.
    """
    folder = root / FOLDER
    if not folder.is_dir():
        raise GanevalError(f"{folder}: no such folder; `ganeval bench` writes run records there")
    records: dict[str, list[Record]] = {}
    for path in sorted(folder.glob("*/*.json"), key=lambda path: path.relative_to(folder).parts):
        record = read(path)
        records.setdefault(record["data"], []).append(record)
    for runs in records.values():
        runs.sort(key=lambda run: (run["model"], run["seed"]))
        _refuse_copies(runs)
    if not records:
        raise GanevalError(f"{folder}: no records; `ganeval bench` writes them as <data>/<model>-seed<k>.json")
    return dict(sorted(records.items()))


def read(path: Path) -> Record:
    """One record. Raises GanevalError that names the file and what is wrong in it."""
    content = document(path, SCHEMA, "restore the file or run the seed again", "write it with this ganeval")
    expect(content, KEYS, path)
    if isinstance(content["evaluation"], dict):
        content["evaluation"].setdefault("version", 1)  # of the records before there was a second
    expect(content["evaluation"], EVALUATION, path, "evaluation.")
    for name, metric in content["metrics"].items():
        expect(metric, METRIC, path, f"metrics.{name}.")
        expect(metric, {key: types for key, types in SPREAD.items() if key in metric}, path, f"metrics.{name}.")
    for i, point in enumerate(content["curve"]):
        expect(point, POINT, path, f"curve[{i}].")
        expect(point["metrics"], dict.fromkeys(point["metrics"], NUMBER), path, f"curve[{i}].metrics.")
    if content["collapse"] is not None:
        expect(content["collapse"], VERDICT, path, "collapse.")
        kinds = dict(enumerate(content["collapse"]["kinds"]))
        expect(kinds, dict.fromkeys(kinds, (str,)), path, "collapse.kinds.")
    expect(content["seconds"], dict.fromkeys(content["seconds"], NUMBER), path, "seconds.")
    _refuse_contradictions(content, path)
    return Record(f"{path.parent.name}/{path.name}", content)


def document(path: Path, schema: str, broken: str, foreign: str) -> dict[str, Any]:
    """The JSON object of this schema in a file, of finite numbers and of texts that can be written.

    Raises GanevalError that names the file, and says `broken` or `foreign`: how to mend what is no JSON, or of another
    schema.
    """
    try:
        content = json.loads(path.read_bytes(), parse_constant=_no_constant, parse_float=_finite, parse_int=_whole)
        json.dumps(content, ensure_ascii=False).encode()  # half a surrogate pair is JSON, and no text
    except OSError as error:
        raise GanevalError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise GanevalError(f"{path}: not a JSON document: {error}; {broken}") from error
    if not isinstance(content, dict) or content.get("schema") != schema:
        found = content.get("schema") if isinstance(content, dict) else type(content).__name__
        raise GanevalError(f"{path}: schema is {found!r}, expected {schema!r}; {foreign}")
    return content


def expect(content: Any, keys: Mapping[Any, tuple[type, ...]], path: Path, where: str = "") -> None:
    """Raises GanevalError where a key is missing or not of its types, a number beyond LARGEST, or no CHOICE."""
    if not isinstance(content, dict):
        raise GanevalError(f"{path}: {where.rstrip('.')} is {json.dumps(content)}, expected an object")
    for key, types in keys.items():
        if key not in content:
            raise GanevalError(f"{path}: {where}{key} is missing; docs/records.md lists the keys")
        # JSON's true is an int to Python.
        if not isinstance(content[key], types) or isinstance(content[key], bool):
            wanted = " or ".join("null" if t is NONE else t.__name__ for t in types)
            raise GanevalError(f"{path}: {where}{key} is {json.dumps(content[key])[:60]}, expected {wanted}")
        if types[:2] == NUMBER and abs(content[key] or 0) > LARGEST:
            raise GanevalError(f"{path}: {where}{key} is {content[key]:.3g}, expected at most {LARGEST:g} in size")
        if key in CHOICES and content[key] not in CHOICES[key]:
            raise GanevalError(f"{path}: {where}{key} is {content[key]!r}, expected one of {', '.join(CHOICES[key])}")


def _refuse_contradictions(content: Mapping[str, Any], path: Path) -> None:
    named = f"{content['data']}/{content['model']}-seed{content['seed']}.json"
    if f"{path.parent.name}/{path.name}" != named:
        raise GanevalError(f"{path}: the content is that of {named}; a record lies under its own name")
    if not re.fullmatch(NAME, content["data"] + content["model"]):
        raise GanevalError(f"{path}: data and model may hold letters, digits and _ . + - alone")
    kind = content["kind"]
    if kind == "sanity":
        return
    if not isinstance((content["budget"] or {}).get("examples"), int):
        raise GanevalError(f"{path}: budget.examples is missing; it says which runs may share a table")
    primary = content["evaluation"]["primary"]
    if content["status"] == "ok" and content["metrics"].get(primary, {}).get("better") != "lower":
        raise GanevalError(f"{path}: metrics.{primary}, better 'lower', is missing: it ranks a {kind} here")


def _refuse_copies(runs: Iterable[Record]) -> None:
    """One run under two seeds would count as two independent ones; sanity rows without randomness may repeat."""
    seen: dict[tuple[str, str], Record] = {}
    for run in runs:
        if run["samples_sha256"] and run["kind"] != "sanity":
            first = seen.setdefault((run["model"], run["samples_sha256"]), run)
            if first is not run:
                raise GanevalError(f"{run.path}: the same samples as {first.path}; remove the copy")


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _whole(text: str) -> int:
    _finite(text)
    return int(text)


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text[:20]} is beyond float64")
    return value
