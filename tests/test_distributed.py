"""Several processes that share a score: the numbers of one, and a clear end where one of them fails."""

from __future__ import annotations

import json
import os
import signal
import socket
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


def test_statistics_are_those_of_one_process(tmp_path: Path) -> None:
    """Of 10,000 images two ranks have 4096 + 1808 and 4096; of four the last has none."""
    np.save(tmp_path / "real.npy", np.random.RandomState(2).randint(0, 256, (10_000, 4, 4, 3), dtype=np.uint8))
    fixed = ["reference", tmp_path / "real.npy", "--extractor", "pixels:4", "--no-cache", "-o"]
    run(GANEVAL, *fixed, tmp_path / "alone.npz")
    assert run(TORCHRUN, *fixed, tmp_path / "two.npz").stderr.count("wrote") == 1
    assert run(GANEVAL, *fixed, tmp_path / "four.npz", "--gpus", 4).stderr.count("wrote") == 1
    with np.load(tmp_path / "alone.npz") as alone:
        for name in ("two", "four"):
            with np.load(tmp_path / f"{name}.npz") as shared:
                assert shared["n"] == alone["n"] == 10_000
                assert shared["fingerprint"] == alone["fingerprint"]
                assert np.allclose(shared["mu"], alone["mu"], rtol=1e-14, atol=0)
                assert abs(shared["sigma"] - alone["sigma"]).max() < 1e-14 * alone["sigma"].max()


def test_two_machines_meet_by_torchrun(sets: Path) -> None:
    """Two calls of torchrun with one process each, as on two machines, that meet at an address."""
    fixed = ["score", sets / "a", "--ref", sets / "r", "--extractor", "classifier:digits", "--batch-size", 50]
    node = [*TORCHRUN[:3], "--nnodes", "2", "--nproc-per-node", "1", "--master-addr", "127.0.0.1"]
    node += ["--master-port", str(free_port())]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [*TORCHRUN[-2:], *map(str, fixed), "--no-cache", "--format", "json", "-q"]
    nodes = [
        subprocess.Popen([*node, "--node-rank", str(i), *command], env=environment, stdout=subprocess.PIPE, text=True)
        for i in range(2)
    ]
    said = [process.communicate(timeout=120)[0] for process in nodes]
    assert [process.returncode for process in nodes] == [0, 0]
    assert said[1] == "", "the first has the result"
    assert values(json.loads(said[0])) == values(score(GANEVAL, sets))


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


DEALT = """
import os, torch, torch.distributed as dist
from ganeval import distributed, evaluate
from ganeval.errors import GanevalError
from ganeval.types import Features
distributed.join()
random = torch.Generator().manual_seed(0)
fake, real = (Features(torch.randn(200, 8, generator=random), None, "f") for _ in range(2))
todo = evaluate.plan(None, fake, real, "f", 0)
own, compute = [], evaluate._compute
evaluate._compute = lambda names, *rest: own.extend(names) or compute(names, *rest)
shared, _ = evaluate.run(todo, fake, real, device=torch.device("cpu"), cache_key=None, shared=True)
everybody = distributed.gather(own)
alone, _ = evaluate.run(todo, fake, real, device=torch.device("cpu"), cache_key=None)
assert sorted(sum(everybody, [])) == sorted(todo.wanted) and all(everybody), everybody
assert list(shared) == list(alone)
assert all(shared[name].estimate == alone[name].estimate for name in alone)
few = evaluate.plan(["fid", "precision:k=1000"], fake, real, "f", 0)
try:
    evaluate.run(few, fake, real, device=torch.device("cpu"), cache_key=None, shared=True)
except GanevalError as error:
    os.write(1, f"{error}\\n".encode())
folded = distributed.fold(str(distributed.rank()), lambda a, b: a + b)
assert folded == "012", folded
os.write(1, b"agreed\\n")
"""


def test_each_family_is_computed_by_one_rank_and_known_to_all(tmp_path: Path) -> None:
    (tmp_path / "dealt.py").write_text(DEALT)
    three = [*TORCHRUN[:-3], "3", str(tmp_path / "dealt.py")]
    lines = run(three).stdout.splitlines()
    assert lines.count("agreed") == 3
    assert sum(line.startswith("precision: ") for line in lines) == 3, "an error of one is every rank's"


PROGRAM = """
import ganeval, os, sys
import torch.distributed as dist
from ganeval.errors import GanevalError

def tell(line):
    os.write(1, f"{line}\\n".encode())  # in one piece: both ranks write to one pipe

dist.init_process_group("gloo")  # as somebody's training does; ganeval is told nothing of it
report = ganeval.score(sys.argv[1], sys.argv[2], extractor="pixels:4", metrics=["fid"], batch_size=50, distributed=True)
tell(f"value {report['fid'].value}")
try:
    ganeval.score(sys.argv[1], extractor="pixels:4", metrics=["fid"], distributed=True)
except GanevalError as error:
    tell(error)
dist.destroy_process_group()
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


def test_an_error_that_only_the_second_has_is_said(sets: Path) -> None:
    (sets / "half.py").write_text(
        "import os\nfrom ganeval.errors import GanevalError\n"
        "def half(images):\n"
        "    if os.environ.get('RANK') == '1': raise GanevalError('no such card on this machine')\n"
        "    return images.float().flatten(1)[:, :4]\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [*sys.path, str(sets)]))}
    command = [*GANEVAL, "score", str(sets / "a"), "--extractor", "half:half", "--batch-size", "50", "--gpus", "2"]
    done = subprocess.run([*command, "--no-cache"], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert [line for line in done.stderr.splitlines() if "error" in line] == ["error: no such card on this machine"]


def test_a_share_of_bad_images_alone_is_left_out(sets: Path, tmp_path: Path) -> None:
    """All that the second process has is broken; then all that there is."""
    for i, source in enumerate(sorted((sets / "a").iterdir())):
        (tmp_path / source.name).write_bytes(source.read_bytes()[: 40 if i >= 50 else None])
    fixed = ["score", tmp_path, "--ref", sets / "r", "--extractor", "pixels:4", "--metric", "fid", "--batch-size", 50]
    shared, alone = (
        json.loads(run(GANEVAL, *fixed, "--skip-bad", "--no-cache", "--format", "json", *more).stdout)
        for more in (["--gpus", 2], [])
    )
    assert values(shared) == values(alone)
    assert shared["samples"]["n"] == 50
    for path in tmp_path.iterdir():
        path.write_bytes(b"broken")
    said = run(GANEVAL, *fixed, "--skip-bad", "--gpus", 2, code=2).stderr
    assert said.count("none of the 100 images") == 1


def test_a_gate_decides_the_exit_code(sets: Path) -> None:
    fixed = ["score", sets / "a", "--ref", sets / "r", "--extractor", "pixels:4", "--metric", "fid", "--gpus", 2]
    assert "failed" in run(GANEVAL, *fixed, "--fail-if", "fid>0", code=1).stderr


def slow_job(sets: Path) -> subprocess.Popen[str]:
    """Two processes that take 20 seconds for each batch."""
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
    return subprocess.Popen([*command, "--no-cache"], env=environment, stderr=subprocess.PIPE, text=True)


def test_a_terminated_job_leaves_no_process_behind(sets: Path) -> None:
    job = slow_job(sets)
    second = child_of_rank(job.pid, 1)
    job.terminate()
    job.communicate(timeout=60)
    assert job.returncode == 128 + signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(second, 0)


def test_a_killed_process_ends_the_job(sets: Path) -> None:
    job = slow_job(sets)
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
