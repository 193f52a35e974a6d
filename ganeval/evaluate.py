"""Which metrics run on these features, and running them: each family once, known results from the cache."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch

from ganeval import cache as caches
from ganeval.distributed import deal, gather, rank
from ganeval.errors import GanevalError
from ganeval.fp32 import true_fp32
from ganeval.numerics.inputs import with_float64
from ganeval.registry import METRICS, Metric, get_metric, load_plugins, resolve
from ganeval.types import Estimate, Features, Moments

T = TypeVar("T")
Requests = Sequence[str] | Mapping[str, Mapping[str, Any]] | None
"""Metric names, each perhaps with options ("precision:k=5"); or {name: options}; None for all that apply."""


@dataclass(frozen=True)
class Scored:
    """One metric's line of a report."""

    metric: Metric
    estimate: Estimate
    options: dict[str, Any]
    seconds: float


@dataclass(frozen=True)
class Plan:
    """What will run, {name: options}, and why the others will not; `explicit` where the user named the metrics."""

    wanted: dict[str, dict[str, Any]]
    skipped: dict[str, str]
    explicit: bool


def plan(
    requests: Requests, fake: Features, real: Features | Moments | None, extractor: str, seed: int,
    train: Features | None = None,
) -> Plan:  # fmt: skip
    """The metrics that apply to these features, with every option filled in.

    Raises GanevalError where a metric that was asked for by name can't run, or has no such option.
    """
    load_plugins()
    asked = requested(requests)
    wanted, skipped = {}, {}
    for name in METRICS if asked is None else asked:
        metric = METRICS[name]
        given = {} if asked is None else asked[name]
        reason = _obstacle(metric, fake, real, train)
        if reason is None and asked is None:
            reason = _not_by_itself(metric, real, extractor, train)
        if reason and asked is not None:
            raise GanevalError(f"{name} can't be computed: {reason}")
        if reason:
            skipped[name] = reason
            continue
        options = metric.options(dict(given))
        if "seed" in options and "seed" not in given:
            options["seed"] = seed
        wanted[name] = options
    return Plan(wanted, skipped, asked is not None)


def requested(requests: Requests) -> dict[str, Mapping[str, Any]] | None:
    """{metric: the options that were given}, None for all that apply; costs nothing, so that a typo is found at once.

    Raises GanevalError for an unknown metric, an option that it does not have, and one named twice with two options.
    """
    if requests is None:
        return None
    asked: dict[str, Mapping[str, Any]] = {}
    for name, options in _parsed(requests):
        METRICS[name].options(dict(options))
        if asked.setdefault(name, options) != options:
            raise GanevalError(f"{name} is named twice, with different options; a table has one row for it")
    return asked


def _parsed(requests: Sequence[str] | Mapping[str, Mapping[str, Any]]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    if isinstance(requests, Mapping):
        for name, options in requests.items():
            yield get_metric(name).name, options or {}
        return
    if isinstance(requests, str):
        requests = [requests]
    if not isinstance(requests, Iterable):
        raise GanevalError(f"metrics are named by texts, such as ['fid', 'kid'], got {requests!r}")
    for request in requests:
        if not isinstance(request, str):
            raise GanevalError(f"a metric is named by text, such as 'fid', got {request!r}; a function of your own "
                               "is registered first (docs/extending.md)")  # fmt: skip
        name, _, text = request.partition(":")
        options = {}
        for item in filter(None, text.split(",")):
            key, equals, value = item.partition("=")
            if not equals:
                raise GanevalError(f"can't read the option {item!r} of {name}; write it as {name}:option=value")
            options[key.strip().replace("-", "_")] = value.strip()
        yield get_metric(name).name, options


def _obstacle(
    metric: Metric, fake: Features, real: Features | Moments | None, train: Features | None
) -> str | None:  # fmt: skip
    if metric.on == "logits" and fake.logits is None:
        return "the extractor has no class logits"
    if metric.train == "needed" and train is None:
        return "a training set is needed: give one with --train"
    if not metric.reads_reference(train is not None):
        return None
    if real is None:
        return "a reference is needed: give one with --ref"
    if isinstance(real, Moments):
        if metric.moments:
            return None
        if real.features is None:
            return "it needs the reference's images; a statistics file holds moments alone"
        real = real.features
    if metric.on == "logits" and real.logits is None:
        return "the reference features hold no class logits"
    return None


def _not_by_itself(
    metric: Metric, real: Features | Moments | None, extractor: str, train: Features | None
) -> str | None:  # fmt: skip
    """Why a metric that can be computed is not, unless it is named."""
    if metric.auto == "home" and not extractor.startswith(metric.home or ""):
        return f"made for {metric.home} features; --metric {metric.name} computes it on these"
    if metric.train == "instead" and train is None:
        return f"it is about the training set: give one with --train; --metric {metric.name} takes the reference for it"
    if metric.reads_reference(train is not None) and isinstance(real, Moments) and not metric.moments:
        return f"--metric {metric.name} computes it from the {real.n:,} features that the statistics file keeps"
    return None


def run(
    plan: Plan, fake: Features, real: Features | Moments | None, *, device: torch.device, cache_key: str | None,
    train: Features | None = None, train_key: str | None = None, known: Mapping[str, Estimate] | None = None,
    shared: bool = False,
) -> tuple[dict[str, Scored], dict[str, str]]:  # fmt: skip
    """The plan's metrics on these features, in the plan's order, and the reasons of those that could not run.

    cache_key names the two sets of features, train_key the training set; None computes what needs them anew.
    known: estimates that were made already, with the plan's options.
    shared: each rank of torch.distributed, all of which hold the same features, computes some families; all get all.
    Raises GanevalError from a metric that the user asked for by name.
    """
    device = with_float64(device)
    keys = {
        name: caches.key_of(key, name, options, caches.metrics_version(), str(device))
        for name, options in plan.wanted.items()
        # Of a plugin's metric the cache can't tell when its code has changed.
        if METRICS[name].built_in and (key := _key(METRICS[name], cache_key, train, train_key))
    }

    def family(names: list[str]) -> tuple[dict[str, tuple[Estimate, float]], dict[str, str]]:
        """The estimates and the seconds of each, and what is wrong with others."""
        began = time.perf_counter()
        saved = {name: caches.load_estimate(keys[name]) for name in names if name in keys}
        found = {name: estimate for name, estimate in saved.items() if estimate}
        found |= {name: estimate for name, estimate in (known or {}).items() if name in names}
        missing = [name for name in names if name not in found]
        results, reasons = tried(_compute, missing, plan.wanted, fake, real, train, device)
        for name in results.keys() & keys.keys():
            caches.save_estimate(keys[name], results[name])
        seconds = (time.perf_counter() - began) / max(1, len(names) - len(reasons))
        return {name: (estimate, seconds) for name, estimate in {**found, **results}.items()}, reasons

    batches = families(plan.wanted)
    costs = [max(METRICS[name].cost for name in names) for names in batches]
    ranks = deal(costs) if shared else [rank()] * len(batches)
    own = {}
    for i in (i for i in range(len(batches)) if ranks[i] == rank()):
        own[i] = family(batches[i])
        if plan.explicit and own[i][1]:
            break  # raised below, before any that are missing for it
    done = {i: found for part in (gather(own) if shared else [own]) for i, found in part.items()}
    scored: dict[str, Scored] = {}
    skipped: dict[str, str] = {}
    for i in range(len(batches)):
        found, reasons = done[i]
        if reasons and plan.explicit:
            reason = next(iter(reasons.values()))
            raise GanevalError(f"{', '.join(name for name in reasons if reasons[name] == reason)}: {reason}")
        skipped |= reasons
        for name, (estimate, seconds) in found.items():
            scored[name] = Scored(METRICS[name], estimate, plan.wanted[name], seconds)
    return {name: scored[name] for name in plan.wanted if name in scored}, skipped


def _key(metric: Metric, key: str | None, train: Features | None, train_key: str | None) -> str | None:
    """The cache's key for what the metric reads; None where a part of it has no name."""
    if metric.train == "no" or train is None:
        return key
    return caches.key_of(key, train_key) if key and train_key else None


def families(wanted: Mapping[str, Any]) -> list[list[str]]:
    """The wanted names, those of one family together, the others alone."""
    batches: dict[Any, list[str]] = {}
    for name in wanted:
        batches.setdefault(METRICS[name].family or name, []).append(name)
    return list(batches.values())


def tried(
    compute: Callable[..., dict[str, T]], names: list[str], *arguments: Any
) -> tuple[dict[str, T], dict[str, str]]:
    """What `compute` makes of a family's names, and why some could not be made: where it fails, each is tried alone."""
    try:
        return compute(names, *arguments), {}
    except GanevalError as error:
        if len(names) == 1:
            return {}, {names[0]: str(error)}
    results: dict[str, T] = {}
    reasons: dict[str, str] = {}
    for name in names:
        result, reason = tried(compute, [name], *arguments)
        results |= result
        reasons |= reason
    return results, reasons


def read_of(metric: Metric, side: Features | Moments) -> Features | Moments:
    """What a metric reads of a side: where moments are not enough, the rows that a statistics file keeps."""
    if isinstance(side, Features) or metric.moments or side.features is None:
        return side
    return side.features


def values(metric: Metric, side: Features | Moments, device: torch.device) -> Any:
    """Of what a metric reads the moments, or the rows on the device."""
    found = read_of(metric, side)
    return found if isinstance(found, Moments) else getattr(found, metric.on).to(device)


@true_fp32()
def _compute(
    names: list[str],
    wanted: Mapping[str, dict[str, Any]],
    fake: Features,
    real: Features | Moments | None,
    train: Features | None,
    device: torch.device,
) -> dict[str, Estimate]:
    if not names:
        return {}
    metric = METRICS[names[0]]
    instead = metric.reference and not metric.reads_reference(train is not None)
    against: list[Any] = [train] if metric.train == "needed" or instead else []
    against += [real] if metric.reads_reference(train is not None) else []
    arguments = [values(metric, side, device) for side in (fake, *against)]
    if metric.family:
        return resolve(metric.family)(*arguments, {name: wanted[name] for name in names})
    estimate = metric.fn(*arguments, **wanted[metric.name])
    if instead:
        estimate = replace(estimate, details={**estimate.details, "against": "the training set"})
    return {metric.name: estimate}
