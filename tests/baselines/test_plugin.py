"""A baseline from another package, as docs/extending.md shows it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

MANUAL = Path(__file__).parents[2] / "docs/extending.md"


def test_the_manual_s_baseline_trains_from_another_package(tmp_path: Path) -> None:
    code = next(block for block in re.findall(r"```python\n(.*?)```", MANUAL.read_text(), re.S) if "HingeGAN" in block)
    (tmp_path / "hinge.py").write_text(code)
    info = tmp_path / "hinge-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hinge\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[ganeval.plugins]\nhinge = hinge\n")
    program = "import sys; sys.path.insert(0, sys.argv[1])\nfrom ganeval.cli import cli\ncli(sys.argv[2:])\n"

    def run(*arguments: str) -> str:
        command = [sys.executable, "-c", program, str(tmp_path), *arguments]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout

    assert re.search(r"^hinge +Hinge GAN", run("list", "models"), re.M)
    run(
        "train",
        "hinge",
        "--data",
        "ring8",
        "--budget",
        "640",
        "--set",
        "critic_steps=2",
        "--out",
        str(tmp_path / "run"),
    )
    record = json.loads((tmp_path / "run/record.json").read_text())
    assert (record["title"], record["status"], record["config"]["beta2"]) == ("Hinge GAN", "ok", 0.9)
    assert record["budget"]["d_steps"] == 2 * record["budget"]["g_steps"] + 1 or record["budget"]["d_steps"] == 5
