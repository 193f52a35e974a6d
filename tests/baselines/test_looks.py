"""What a look during training leaves in the run's folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ganeval_baselines import evaluate
from ganeval_baselines.judges import judge_of
from ganeval_baselines.perform import perform

from tests.baselines.conftest import run_of


@pytest.mark.parametrize(("steps", "looks", "at"), [(6, 3, [2, 4, 6]), (5, 2, [3, 5])])
def test_alpha_is_spent_over_the_looks(
    steps: int, looks: int, at: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There are never more than were asked for, and the last is at the end."""
    levels = []
    judged = evaluate.ganeval.collapse_test

    def collapse_test(*args: object, alpha: float, **options: object) -> object:
        levels.append(alpha)
        return judged(*args, alpha=alpha, **options)

    monkeypatch.setattr(evaluate.ganeval, "collapse_test", collapse_test)
    run = run_of("gan", "digits", steps=steps)
    record = perform(run, tmp_path, judge_of("gan", run.data), looks=looks)
    assert levels == pytest.approx([0.05 / looks] * looks + [0.05])
    files = sorted(tmp_path.glob("step*.json"))
    assert [path.name for path in files] == [f"step{step:07d}.json" for step in at]
    assert json.loads(files[-1].read_text()).keys() == record["collapse"].keys()
    assert all(line.keys() == {"step", "examples", "metrics"} for line in record["curve"])
