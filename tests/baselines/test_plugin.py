"""A baseline from another package, as docs/extending.md shows it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.plugins import install

MANUAL = Path(__file__).parents[2] / "docs/extending.md"


@pytest.mark.slow
def test_the_manual_s_baseline_trains_from_another_package(tmp_path: Path) -> None:
    code = next(block for block in re.findall(r"```python\n(.*?)```", MANUAL.read_text(), re.S) if "HingeGAN" in block)
    run = install(tmp_path, "hinge", code)
    assert re.search(r"^hinge +Hinge GAN", run("list", "models"), re.M)
    out = str(tmp_path / "run")
    run("train", "hinge", "--data", "ring8", "--budget", "640", "--set", "critic_steps=2", "--out", out)
    record = json.loads((tmp_path / "run/record.json").read_text())
    assert (record["title"], record["status"], record["config"]["beta2"]) == ("Hinge GAN", "ok", 0.9)
    assert (record["budget"]["d_steps"], record["budget"]["g_steps"]) == (5, 2)
