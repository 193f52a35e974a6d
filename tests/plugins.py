"""A plugin as pip installs it: a module, and a dist-info folder with an entry point."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

PROGRAM = "import sys; sys.path.insert(0, sys.argv[1])\nfrom ganeval.cli import cli\ncli(sys.argv[2:])\n"


def install(folder: Path, module: str, code: str) -> Callable[..., str]:
    """Puts the plugin into the folder; returns what runs `ganeval ...` beside it, and gives its stdout."""
    (folder / f"{module}.py").write_text(code)
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[ganeval.plugins]\n{module} = {module}\n")

    def run(*arguments: str) -> str:
        command = [sys.executable, "-c", PROGRAM, str(folder), *arguments]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout

    return run
