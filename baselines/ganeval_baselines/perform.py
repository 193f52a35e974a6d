"""From a plan to its record: train, and have it judged."""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ganeval.collapse import LEAST_ALPHA
from ganeval.errors import GanevalError
from ganeval_baselines import record
from ganeval_baselines.checkpoint import State
from ganeval_baselines.evaluate import ALPHA, NotFiniteError
from ganeval_baselines.judges import BySamples, Judge
from ganeval_baselines.log import Log
from ganeval_baselines.plan import Run
from ganeval_baselines.sanity import TITLES, sanity_config, sanity_samples
from ganeval_baselines.train import finished, train

LOOKS = 10
"""Times that a run is scored while it trains, where nobody says otherwise."""


def perform(
    run: Run,
    folder: Path,
    judge: Judge,
    *,
    device: str = "cpu",
    progress: bool = False,
    looks: int = LOOKS,
    also: Callable[[dict[str, Any]], None] = lambda _: None,
) -> dict[str, Any]:
    """Trains the run in `folder`, or takes up its checkpoint there, and returns its record.

    A GAN's folder gets samples.npz (arr_0, and labels where they were asked for) and samples.png beside the
    checkpoint, and at each look on the way a picture and a collapse verdict (.json), of the same latents.
    looks: how often the run is scored on its way. also: told every line of the log.
    A run whose loss is not finite gives a record of status "diverged".
    """

    def look(state: State) -> dict[str, float]:
        try:
            return judge.glance(state.sampler, run.seed, state.step, folder, math.ceil(run.steps / every))
        except NotFiniteError:
            return {}  # the last samples decide

    if looks > ALPHA / LEAST_ALPHA:
        most = f"{ALPHA / LEAST_ALPHA:.0f}"
        raise GanevalError(f"looks={looks}, which share alpha={ALPHA:g} between them; give {most} or fewer")
    every = math.ceil(run.steps / looks)
    state = train(run, folder, device=device, progress=progress, look=look, look_every=every, also=also)
    result = record.frame_of_run(run, judge.evaluation(), state.turns, device)
    result["seconds"]["train"] = round(state.seconds, 1)
    if state.diverged:
        return {**result, "status": "diverged", "reason": state.diverged}
    result["curve"] = [line for line in Log(folder / "log.jsonl").lines() if "metrics" in line]
    began = time.monotonic()
    try:
        result |= judge.verdict(state.sampler, run.seed, folder)
    except NotFiniteError as error:
        return {**result, "status": "diverged", "reason": str(error)}
    result["seconds"]["evaluate"] = round(time.monotonic() - began, 1)
    return result


def rescore(found: dict[str, Any], run: Run, folder: Path, judge: Judge, device: str) -> dict[str, Any]:
    """A finished run's record with its scores renewed, from the checkpoint in `folder`; what trained it stays.

    Raises GanevalError where there is no final checkpoint, or its samples are not those of the record.
    """
    began = time.monotonic()
    state = finished(run, folder, device)
    # Aside first: the samples that the record was measured on must outlive a refusal.
    with tempfile.TemporaryDirectory(dir=folder, prefix=".rescore.") as aside:
        renewed = judge.verdict(state.sampler, run.seed, Path(aside))
        if renewed.get("samples_sha256") != found["samples_sha256"]:
            raise GanevalError(f"{folder} gives other samples here than its record says; the record stays as it was")
        for made in Path(aside).iterdir():
            os.replace(made, folder / made.name)
    seconds = {**found["seconds"], "evaluate": round(time.monotonic() - began, 1)}
    return {**found, **renewed, "evaluation": judge.evaluation(), "seconds": seconds}


def perform_sanity(name: str, seed: int, folder: Path, judge: BySamples) -> dict[str, Any]:
    """The record of a row of sanity.py, which nothing is trained for."""
    reference = judge.reference
    n = reference.sample_size
    samples = sanity_samples(name, reference.data, n, seed)
    how = {**judge.evaluation(1), "n_fake": len(samples.content)}
    result = record.frame(
        sanity_config(name, reference.data, n, seed), kind="sanity", title=TITLES[name], evaluation=how,
        device=reference.device,
    )  # fmt: skip
    return {**result, **judge.of_samples(samples, seed, folder)}


def failure(run: Run, judge: Judge, device: str, reason: str) -> dict[str, Any]:
    """The record of a run that an error ended."""
    frame = record.frame_of_run(run, judge.evaluation(), {}, device)
    return {**frame, "status": "failed", "reason": reason}
