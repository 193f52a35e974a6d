"""Records become boards: what may share a table, which seeds are one model, and where each model ranks."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ganeval.errors import GanevalError
from ganeval.leaderboard.ranking import Summary, median, power_note, rank_ranges, summary
from ganeval.leaderboard.records import Record
from ganeval.registry import METRICS

FLOOR = "real"
"""The sanity record of real images against real images at the same n: what a perfect model would score."""

FIRST = ("emd", "fid", "test_error", "modes", "high_quality", "mode_kl")


@dataclass(frozen=True)
class Protocol:
    """All that two rows must have in common to share a table.

    options: the options of those metrics whose options differ between the records of the data set, as JSON.
    """

    kind: str
    network: str | None
    examples: int | None
    evaluation: str
    options: str

    @property
    def primary(self) -> str:
        """The metric that ranks, the lower the better."""
        return str(json.loads(self.evaluation)["primary"])


@dataclass(frozen=True)
class Row:
    """One model: its runs with one configuration, a seed each."""

    name: str
    runs: tuple[Record, ...]

    @property
    def title(self) -> str:
        return str(self.runs[0]["title"])

    @property
    def failures(self) -> int:
        return sum(not run.finished for run in self.runs)

    def values(self, metric: str) -> list[float]:
        """The metric of the finished runs that have it."""
        return [value for run in self.runs if (value := run.value(metric)) is not None]

    def seeds(self, primary: str) -> list[float]:
        """The primary metric of every run, lower is better: infinite for a run that did not finish."""
        values = (run.value(primary) for run in self.runs)
        return [math.inf if value is None else value for value in values]

    def summary(self, metric: str) -> Summary | None:
        return summary(self.values(metric))

    def evaluation_sd(self, metric: str) -> float | None:
        """The mean over runs of the sd over sampling seeds: the noise of the evaluation, not of the training."""
        spreads = [run["metrics"][metric].get("evaluation_sd") for run in self.runs if run.value(metric) is not None]
        known = [spread for spread in spreads if spread is not None]
        return math.fsum(known) / len(known) if known else None

    def judged(self) -> list[str]:
        """The collapse verdicts of the finished runs."""
        return [run["collapse"]["verdict"] for run in self.runs if run.finished and run["collapse"]]

    def seconds(self) -> float | None:
        """Mean training time of the finished runs."""
        times = [run["seconds"]["train"] for run in self.runs if run.finished and "train" in run["seconds"]]
        return math.fsum(times) / len(times) if times else None


@dataclass(frozen=True)
class Group:
    """The rows of one table: `rows` from the best to the worst with their rank ranges, `sanity` apart."""

    protocol: Protocol
    rows: tuple[Row, ...]
    ranks: tuple[tuple[int, int], ...]
    sanity: tuple[Row, ...]

    @property
    def records(self) -> list[Record]:
        return [run for row in [*self.rows, *self.sanity] for run in row.runs]

    @property
    def primary(self) -> str:
        """The metric that ranks."""
        return self.protocol.primary

    @cached_property
    def metrics(self) -> dict[str, dict[str, Any]]:
        """{name: title and direction} of the metrics of the finished runs, the primary one first."""
        found: dict[str, dict[str, Any]] = {}
        for run in self.records:
            for name, metric in run["metrics"].items() if run.finished else ():
                facts = {"title": metric["title"], "better": metric["better"]}
                if found.setdefault(name, facts)["better"] != facts["better"]:
                    raise GanevalError(f"{run.path}: {name} is better {facts['better']}, elsewhere the other way")
        order = [*FIRST, *METRICS]
        return {k: found[k] for k in sorted(found, key=lambda k: (order.index(k) if k in order else len(order), k))}

    @property
    def floor(self) -> float | None:
        """The primary metric of real images at the same n."""
        rows = [row for row in self.sanity if row.runs[0]["model"] == FLOOR]
        found = rows[0].summary(self.primary) if rows else None
        return found.mean if found else None

    @property
    def note(self) -> str:
        return power_note([len(row.runs) for row in self.rows])


@dataclass(frozen=True)
class Board:
    """All groups of one data set."""

    data: str
    groups: tuple[Group, ...]


def board(data: str, records: Sequence[Record]) -> Board:
    """The board of one data set. Every record is in at least one table."""
    options = _options(records)
    keys = {record.path: _protocol(record, options(record)) for record in records}
    trained = [record for record in records if record["kind"] != "sanity"]
    for record in trained:
        # A run that failed has no metrics to tell the options by; it stands with the rest of its protocol.
        if not record["metrics"]:
            alike = [keys[r.path] for r in trained if r["metrics"] and _same(keys[r.path], keys[record.path])]
            own = [keys[r.path] for r in trained if r["metrics"] and r["model"] == record["model"]]
            keys[record.path] = next((key for key in own + alike if key in alike), keys[record.path])
    sanity = [record for record in records if record["kind"] == "sanity"]
    groups, placed = [], set()
    for protocol in sorted({keys[r.path] for r in trained}, key=lambda p: (p.kind != "gan", _sortable(p))):
        floor = [r for r in sanity if _measured(keys[r.path]) == _measured(protocol)]
        placed |= {r.path for r in floor}
        groups.append(_group(protocol, [r for r in trained if keys[r.path] == protocol], floor))
    alone = [r for r in sanity if r.path not in placed]
    for protocol in sorted({keys[r.path] for r in alone}, key=_sortable):
        groups.append(_group(protocol, [], [r for r in alone if keys[r.path] == protocol]))
    return Board(data, tuple(groups))


def _options(records: Iterable[Record]) -> Callable[[Record], str]:
    """A function that gives a record's options of those metrics whose options are not the same in all records."""
    found: dict[str, set[str]] = {}
    for record in records:
        for name, metric in record["metrics"].items():
            found.setdefault(name, set()).add(_seedless(metric["options"]))
    differing = {name for name, options in found.items() if len(options) > 1}
    return lambda record: _json({k: _seedless(m["options"]) for k, m in record["metrics"].items() if k in differing})


def _protocol(record: Record, options: str) -> Protocol:
    keys = ("primary", "extractor", "fingerprint", "n_fake", "n_real", "reference", "checkpoint", "version")
    evaluation = {key: record["evaluation"][key] for key in keys} | {"data_sha256": record["data_sha256"]}
    if record["kind"] == "sanity":
        return Protocol("sanity", None, None, _json(evaluation), options)
    return Protocol(record["kind"], record["network"], record["budget"]["examples"], _json(evaluation), options)


def _same(a: Protocol, b: Protocol) -> bool:
    return (a.kind, a.network, a.examples, a.evaluation) == (b.kind, b.network, b.examples, b.evaluation)


def _measured(protocol: Protocol) -> tuple[str, str]:
    """What a sanity row shares with the models it stands beside: sets, extractor and options, not the checkpoint."""
    return _json({k: v for k, v in json.loads(protocol.evaluation).items() if k != "checkpoint"}), protocol.options


def _sortable(protocol: Protocol) -> tuple[Any, ...]:
    network, examples = protocol.network or "", protocol.examples or 0
    return protocol.kind, network, examples, protocol.evaluation, protocol.options


def _group(protocol: Protocol, trained: Sequence[Record], sanity: Sequence[Record]) -> Group:
    rows = _rows(trained)
    seeds = [row.seeds(protocol.primary) for row in rows]
    ranked = sorted(zip(rank_ranges(seeds), map(median, seeds), rows, strict=True), key=lambda r: (*r[:2], r[2].name))
    ranks = tuple(rank for rank, _, _ in ranked)
    return Group(protocol, tuple(row for _, _, row in ranked), ranks, tuple(_rows(sanity)))


def _rows(records: Iterable[Record]) -> list[Row]:
    """A row a model; a model that was run with several configurations has a row for each, named by its hash."""
    rows = []
    for model, group in itertools.groupby(records, key=lambda record: record["model"]):
        configs: dict[str, list[Record]] = {}
        for run in group:
            configs.setdefault(_seedless(run["config"]), []).append(run)
        for config, runs in sorted(configs.items()):
            label = model if len(configs) == 1 else f"{model}@{hashlib.sha256(config.encode()).hexdigest()[:8]}"
            rows.append(Row(label, tuple(runs)))
    return rows


def _seedless(options: dict[str, Any]) -> str:
    """What the seeds of one model share."""
    return _json({key: value for key, value in options.items() if key != "seed"})


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
