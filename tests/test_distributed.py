"""Several processes that share a score: the numbers of one, and a clear end where one of them fails."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ganeval

pytestmark = pytest.mark.slow

GANEVAL = [sys.executable, "-m", "ganeval"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "ganeval"]


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders a (100 images) and r (130), of which a batch of 50 leaves the third of three processes some or none."""
    root = tmp_path_factory.mktemp("sets")
    random = np.random.RandomState(0)
    for name, n in (("a", 100), ("r", 130)):
        (root / name).mkdir()
        for i in range(n):
            Image.fromarray(random.randint(0, 256, (12, 12, 3), dtype=np.uint8)).save(root / name / f"{i:03d}.png")
    return root


def run(command: list[str], *arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    # One thread each: torch sums in another order with two.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, env=environment, timeout=300, check=False
    )
    assert done.returncode == code, done.stderr
    return done


def score(command: list[str], sets: Path, *more: str) -> dict:
    fixed = ["--extractor", "classifier:digits", "--batch-size", 50, "--no-cache", "--format", "json", "-q"]
    return json.loads(run(command, "score", sets / "a", "--ref", sets / "r", *fixed, *more).stdout)


def values(document: dict) -> dict[str, float]:
    return {name: metric["value"] for name, metric in document["metrics"].items()}


def test_one_two_and_three_processes_agree(sets: Path) -> None:
    alone = score(GANEVAL, sets)
    for shared in (score(TORCHRUN, sets), score(GANEVAL, sets, "--gpus", "3")):
        assert values(shared) == values(alone), "equal to the bit"
        assert shared["treatments"] == alone["treatments"]
        assert shared["collapse"] == alone["collapse"]


def test_statistics_are_written_once(sets: Path, tmp_path: Path) -> None:
    fixed = ["--extractor", "classifier:digits", "--batch-size", 50, "--no-cache"]
    alone, shared = tmp_path / "alone.npz", tmp_path / "shared.npz"
    run(GANEVAL, "reference", sets / "r", "-o", alone, *fixed)
    assert run(TORCHRUN, "reference", sets / "r", "-o", shared, *fixed).stderr.count("wrote") == 1
    with np.load(alone) as one, np.load(shared) as two:
        assert one["n"] == two["n"] == 130
        assert np.array_equal(one["sigma"], two["sigma"])


PROGRAM = """
import ganeval, os, sys
from ganeval import distributed
from ganeval.errors import GanevalError

def tell(line):
    os.write(1, f"{line}\\n".encode())  # in one piece: both ranks write to one pipe

distributed.join()
report = ganeval.score(sys.argv[1], sys.argv[2], extractor="pixels:4", metrics=["fid"], batch_size=50, distributed=True)
tell(f"value {report['fid'].value}")
try:
    ganeval.score(sys.argv[1], extractor="pixels:4", metrics=["fid"], distributed=True)
except GanevalError as error:
    tell(error)
"""


def test_every_rank_gets_the_report_and_the_error(sets: Path, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    lines = run([*TORCHRUN[:-2], str(tmp_path / "program.py")], sets / "a", sets / "r").stdout.splitlines()
    alone = ganeval.score(sets / "a", sets / "r", extractor="pixels:4", metrics=["fid"], batch_size=50)
    values = [float(line.removeprefix("value ")) for line in lines if line.startswith("value ")]
    assert values == pytest.approx([alone["fid"].value] * 2), lines
    assert sum("a reference is needed" in line for line in lines) == 2


def test_an_error_is_said_once(sets: Path, tmp_path: Path) -> None:
    """The broken image is in the share of the second process alone."""
    for i, source in enumerate(sorted((sets / "a").iterdir())):
        (tmp_path / source.name).write_bytes(source.read_bytes()[: 40 if i == 70 else None])
    done = run(GANEVAL, "score", tmp_path, "--extractor", "pixels:4", "--batch-size", 50, "--gpus", 2, code=2)
    assert done.stdout == ""
    assert [line for line in done.stderr.splitlines() if line.startswith("error")] == [done.stderr.strip()]
    assert "070.png" in done.stderr


def test_a_gate_decides_the_exit_code(sets: Path) -> None:
    fixed = ["score", sets / "a", "--ref", sets / "r", "--extractor", "pixels:4", "--metric", "fid", "--gpus", 2]
    assert "failed" in run(GANEVAL, *fixed, "--fail-if", "fid>0", code=1).stderr


def test_a_killed_process_ends_the_job(sets: Path) -> None:
    (sets / "slow.py").write_text(
        "import time\nfrom ganeval.extractors import load_extractor\n"
        "class Slow:\n"
        "    name, fingerprint, verified, weights_sha256 = 'slow', 'slow', True, None\n"
        "    def resize(self, images): return images.float()\n"
        "    def to(self, device): return self\n"
        "    def __call__(self, x):\n"
        "        time.sleep(20)\n"
        "        return x.flatten(1)[:, :4], None\n"
        "slow = Slow()\n"
    )
    command = [*GANEVAL, "score", str(sets / "a"), "--extractor", "slow:slow", "--batch-size", "50", "--gpus", "2"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [*sys.path, str(sets)]))}
    job = subprocess.Popen([*command, "--no-cache"], env=environment, stderr=subprocess.PIPE, text=True)
    second = child_of_rank(job.pid, 1)
    time.sleep(5)
    os.kill(second, signal.SIGKILL)
    killed = time.monotonic()
    _, said = job.communicate(timeout=60)
    assert time.monotonic() - killed < 15
    assert job.returncode == 2
    errors = [line for line in said.splitlines() if line.startswith("error")]
    assert len(errors) == 1
    assert "ended" in errors[0]


def child_of_rank(parent: int, rank: int) -> int:
    """The process that was started with RANK=rank."""
    for _ in range(600):
        for entry in Path("/proc").iterdir():
            try:
                of_parent = f"PPid:\t{parent}\n" in (entry / "status").read_text()
                if of_parent and f"RANK={rank}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                    return int(entry.name)
            except OSError:
                continue
        time.sleep(0.05)
    raise AssertionError(f"no process of rank {rank}")
