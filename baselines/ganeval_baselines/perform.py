"""From a plan to its record: train, sample, score."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ganeval.files import atomic_write
from ganeval_baselines import evaluate, pictures, record
from ganeval_baselines.data import Images, Mixture
from ganeval_baselines.evaluate import SAMPLING_SEEDS, Judge, Samples
from ganeval_baselines.sanity import TITLES, sanity_config, sanity_samples
from ganeval_baselines.train import Log, Run, State, train

LOOKS = 10
"""Times that a run is scored while it trains."""


def perform(
    run: Run,
    folder: Path,
    judge: Judge,
    *,
    device: str = "cpu",
    progress: bool = False,
    also: Callable[[dict[str, Any]], None] = lambda _: None,
) -> dict[str, Any]:
    """Trains the run in `folder`, or takes up its checkpoint there, and returns its record.

    Writes samples.npz (arr_0, and labels where they were asked for) and samples.png beside the checkpoint.
    also: told every line of the log. A run whose loss is not finite gives a record of status "diverged".
    """

    def look(state: State) -> dict[str, float]:
        if progress:
            few = evaluate.draw(state.sampler, run.data, pictures.CELLS**2, run.seed, 2**35)
            pictures.save(few.content, folder / "latest.png", run.data)
        return dict(evaluate.curve_row(state.sampler, judge, run.seed))

    state = train(
        run, folder, device=device, progress=progress, look=look, look_every=max(1, run.steps // LOOKS), also=also
    )
    how = record.evaluation_by(judge, evaluate.sample_size(judge), SAMPLING_SEEDS)
    result = record.frame_of_run(run, how, state.turns, device)
    result["seconds"]["train"] = round(state.seconds, 1)
    if state.diverged:
        return {**result, "status": "diverged", "reason": state.diverged}
    began = time.monotonic()
    rows, samples = evaluate.final_rows(state.sampler, judge, run.seed)
    result |= {"metrics": rows, "collapse": evaluate.verdict_on(samples, judge, run.seed)}
    result["samples_sha256"] = samples.sha256
    result["seconds"]["evaluate"] = round(time.monotonic() - began, 1)
    result["curve"] = [line for line in Log(folder / "log.jsonl").lines() if "metrics" in line]
    _keep(samples, folder, run.data)
    return result


def perform_sanity(name: str, data: Mixture | Images, seed: int, folder: Path, judge: Judge) -> dict[str, Any]:
    """The record of a row of sanity.py, which nothing is trained for."""
    n = evaluate.sample_size(judge)
    samples = sanity_samples(name, data, n, seed)
    how = record.evaluation_by(judge, len(samples.content), 1)
    result = record.frame(sanity_config(name, data, n, seed), kind="sanity", title=TITLES[name], evaluation=how)
    result |= {"metrics": evaluate.rows_of(samples, judge, seed), "samples_sha256": samples.sha256}
    result["collapse"] = evaluate.verdict_on(samples, judge, seed)
    _keep(samples, folder, data)
    return result


def failure(run: Run, judge: Judge, device: str, reason: str) -> dict[str, Any]:
    """The record of a run that an error ended."""
    how = record.evaluation_by(judge, evaluate.sample_size(judge), SAMPLING_SEEDS)
    return {**record.frame_of_run(run, how, {}, device), "status": "failed", "reason": reason}


def _keep(samples: Samples, folder: Path, data: Mixture | Images) -> None:
    content = samples.content
    arrays = {"arr_0": (content.permute(0, 2, 3, 1) if content.ndim == 4 else content).numpy()}
    if samples.labels is not None:
        arrays["labels"] = samples.labels.numpy()
    with atomic_write(folder / "samples.npz") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    pictures.save(content, folder / "samples.png", data)
