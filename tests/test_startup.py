"""Starting is quick: what only reads the registry imports neither torch nor pandas."""

from __future__ import annotations

import subprocess
import sys

import pytest

COMMANDS = [["--help"], ["--version"], ["list", "metrics"], ["list", "extractors"], ["list", "datasets"]]
COMMANDS += [["list", "models"], ["score", "--help"], ["reference", "--help"], ["train", "--help"], ["bench", "--help"]]
COMMANDS += [["leaderboard", "--help"], ["audit", "--help"]]


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_quick_commands_import_no_heavy_library(arguments: list[str]) -> None:
    program = (
        "import sys\n"
        "from ganeval.cli import cli\n"
        "try:\n"
        f"    cli({arguments!r})\n"
        "except SystemExit as stop:\n"
        "    assert stop.code == 0, stop.code\n"
        "heavy = {'torch', 'torchvision', 'pandas', 'numpy', 'scipy', 'sklearn', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_import_ganeval_does_not_import_torch() -> None:
    program = "import sys, ganeval, ganeval.metrics; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("what", ["score", "compare", "CollapseMonitor", "Stream"])
def test_statistics_and_clusters_are_imported_where_they_are_needed(what: str) -> None:
    """They double what torch alone takes to import."""
    program = f"import sys; from ganeval import {what}; assert not {{'scipy.stats', 'sklearn'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_function_score_is_not_shadowed_by_a_module() -> None:
    program = "import ganeval, ganeval.scoring; assert callable(ganeval.score); assert callable(ganeval.score)"
    subprocess.run([sys.executable, "-c", program], check=True)
