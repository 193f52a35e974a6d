"""The command line: exit codes, formats, stdout and stderr, and what happens when things go wrong."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import ganeval
from ganeval.cli import cli
from ganeval.files import cache_dir
from ganeval.images import open_images
from ganeval.metrics import fid

GANEVAL = [sys.executable, "-m", "ganeval"]
FAST = ["--extractor", "pixels:4"]


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders a, b (grey PNG) and r (60 images each, 12x12)."""
    root = tmp_path_factory.mktemp("sets")
    random = np.random.RandomState(0)
    for name, shift in (("a", 0), ("b", 60), ("r", 0)):
        (root / name).mkdir()
        for i in range(60):
            pixels = random.randint(0, 190, size=(12, 12, 3), dtype=np.uint8) + np.uint8(shift)
            Image.fromarray(pixels).save(root / name / f"{i}.png")
    return root


def run(*arguments: object, code: int = 0, env: dict[str, str] | None = None) -> Result:
    """Runs the command in this process, where torch is loaded already."""
    done = CliRunner().invoke(cli, list(map(str, arguments)), prog_name="ganeval", env=env)
    assert done.exit_code == code, done.stderr + done.stdout + str(done.exception)
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done


def error(*arguments: object, code: int = 2, env: dict[str, str] | None = None) -> str:
    """The one line that a mistake prints; stdout stays empty."""
    done = run(*arguments, code=code, env=env)
    assert done.stdout == ""
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_the_table_goes_to_stdout_and_fits(sets: Path) -> None:
    done = run("score", sets / "a", "--ref", sets / "r", *FAST)
    assert max(map(len, done.stdout.splitlines())) <= 80 or len(str(sets)) > 60
    for title in ("FD, debiased", "KID", "Precision", "1-NN accuracy", "EMD"):
        assert title in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
    assert "warning: FD can't be trusted at n = 60" not in done.stdout
    assert "warning" in done.stderr


def test_json_is_one_document_and_agrees_with_python(sets: Path) -> None:
    done = run("score", sets / "a", "--ref", sets / "r", *FAST, "--format", "json")
    document = json.loads(done.stdout)
    report = ganeval.score(sets / "a", sets / "r", extractor="pixels:4")
    assert document["samples"]["sha256"] == report.samples.sha256
    for name, line in document["metrics"].items():
        assert line["value"] == report[name].value, name
    a, r = (ganeval.extract(sets / name, "pixels:4").pooled for name in ("a", "r"))
    assert document["metrics"]["fid"]["value"] == pytest.approx(float(fid(a, r)), rel=1e-6)


@pytest.mark.parametrize(("form", "mark"), [("csv", "fid"), ("md", "| FD |"), ("tex", r"\toprule"), ("table", "FD")])
def test_formats_and_the_output_file(sets: Path, tmp_path: Path, form: str, mark: str) -> None:
    target = tmp_path / f"result.{'txt' if form == 'table' else form}"
    done = run("score", sets / "a", sets / "b", "--ref", sets / "r", *FAST, "--metric", "fid", "-o", target)
    assert done.stdout == ""
    assert mark in target.read_text() or (form == "md" and "| FD |" in target.read_text().replace("  ", " "))
    if form == "csv":
        rows = list(csv.DictReader(io.StringIO(target.read_text())))
        assert [Path(row["samples"]).name for row in rows] == ["a", "b"]
        assert float(rows[0]["fid"]) < float(rows[1]["fid"])


def test_several_samples_are_a_list(sets: Path) -> None:
    done = run("score", sets / "a", sets / "b", "--ref", sets / "r", *FAST, "--metric", "kid", "--format", "json")
    assert [Path(document["samples"]["source"]).name for document in json.loads(done.stdout)] == ["a", "b"]


def test_a_warning_about_several_sets_is_said_once(sets: Path, tmp_path: Path) -> None:
    twins = tmp_path / "twins"
    shutil.copytree(sets / "a", twins)
    shutil.copy(twins / "0.png", twins / "1.png")
    done = run("score", sets / "a", sets / "b", twins, "--ref", sets / "r", *FAST, "--metric", "kid")
    warnings = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert [line for line in warnings if "subsets of 60" in line] == [
        "warning: KID: subsets of 60 instead of 1000, for want of images: not the published KID"
    ]
    assert [line for line in warnings if "duplicates" in line] == [
        f"warning: {twins}: 1 of the 60 samples are exact duplicates of another sample"
    ]


def test_without_a_reference(sets: Path) -> None:
    document = json.loads(run("score", sets / "a", *FAST, "--format", "json").stdout)
    assert set(document["metrics"]) == {"vendi"}
    assert "--ref" in document["skipped"]["fid"]
    assert document["reference"] is None


def test_options_of_a_metric(sets: Path) -> None:
    done = run("score", sets / "a", "--ref", sets / "r", *FAST, "--metric", "precision:k=5,strict=true",
               "--metric", "one-nn-accuracy", "--format", "json")  # fmt: skip
    document = json.loads(done.stdout)
    assert document["metrics"]["precision"]["options"] == {"k": 5, "strict": True}
    assert set(document["metrics"]) == {"precision", "one_nn_accuracy"}


def test_gates(sets: Path) -> None:
    base = ["score", sets / "b", "--ref", sets / "r", *FAST, "--metric", "fid"]
    assert "failed" in run(*base, "--fail-if", "fid>0.001", code=1).stderr
    run(*base, "--fail-if", "fid > 1e9", "--fail-if", "fid<0")
    assert "'fid>20'" in error(*base, "--fail-if", "fid=3")
    assert "--metric kid" in run(*base, "--fail-if", "kid>1", code=2).stderr
    reason = run(*base[:-2], "--fail-if", "cmmd>1", code=2).stderr
    assert "cmmd was not computed: made for clip features; --metric cmmd computes it" in reason


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{a}", "--ref", "{r}", "--metric", "fdi"], ["unknown metric 'fdi'", "'fid'"]),
        (["{a}", "--ref", "{r}", "--extractor", "incepton"], ["unknown extractor", "'inception'"]),
        (["{a}", "--ref", "{r}", "--extractor", "classifier:digit"], ["'digits'"]),
        (["{a}", "--ref", "{r}", "--extractor", "no_module:net"], ["no_module"]),
        (["{a}", "--ref", "mnst:test"], ["'mnist'"]),
        (["{a}", "--ref", "{r}", "--metric", "precision:kk=3"], ["option of precision 'kk'", "'k'"]),
        (["{a}", "--ref", "{r}", "--metric", "precision:k=x"], ["must be a whole number", "'x'"]),
        (["{a}", "--ref", "{r}", "--metric", "precision:k"], ["precision:option=value"]),
        (["{a}", "--ref", "{r}", "--metric", "precision:k=60"], ["k=60", "60 fake"]),
        (["{a}", "--ref", "{r}", "--metric", "mode_score"], ["no class logits"]),
        (["{a}", "--metric", "fid"], ["--ref"]),
        (["{a}", "--ref", "{r}", "--n", "61"], ["--n 61", "60 images; give a whole number from 2 to 60"]),
        (["{a}", "--ref", "{r}", "--n", "0"], ["--n 0: give a whole number from 2 to"]),
        (["{a}", "--ref", "{r}", "--device", "cuda:7"], ["cuda:7", "--device cpu"]),
        (["{a}", "--ref", "{r}", "--by-class"], ["no labels"]),
        (["{a}/nothing", "--ref", "{r}"], ["does not exist"]),
        (["{a}", "--ref", "{r}", "--weights", "x.pt"], ["pixels has no weights"]),
        (["{a}", "--ref", "{r}", "--data-root", "/nowhere", "-o", "/nowhere/x.json"], ["/nowhere/x.json"]),
    ],
    ids=lambda value: " ".join(map(str, value))[-40:],
)
def test_bad_usage_is_one_line(sets: Path, arguments: list[str], words: list[str]) -> None:
    arguments = [word.format(a=sets / "a", r=sets / "r") for word in arguments]
    if not any(word in ("--extractor",) for word in arguments):
        arguments += FAST
    if "/nowhere/x.json" in arguments:
        arguments[arguments.index("/nowhere/x.json")] = str(sets / "a" / "0.png" / "x.json")
        words = ["0.png"]
    message = error("score", *arguments)
    for word in words:
        assert word in message


def test_click_mistakes_also_exit_2(sets: Path) -> None:
    assert "--metrc" in run("score", sets / "a", "--metrc", "fid", code=2).stderr
    assert "fp8" in run("score", sets / "a", "--precision", "fp8", code=2).stderr
    assert "score --html" in run("score", sets / "a", "--format", "html", code=2).stderr
    run("scor", code=2)


def test_one_sample_only(sets: Path, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "one.png")
    assert "at least" in error("score", tmp_path, "--ref", sets / "r", *FAST, "--metric", "fid")
    done = run("score", tmp_path, "--ref", sets / "r", *FAST, "--format", "json")
    assert "fid" in json.loads(done.stdout)["skipped"]


def test_weights_that_can_not_be_had(sets: Path, tmp_path: Path) -> None:
    message = error("score", sets / "a", "--ref", sets / "r", code=4,
                    env={"GANEVAL_OFFLINE": "1", "TORCH_HOME": str(tmp_path)})  # fmt: skip
    for word in ("https://", "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2", "put it at",
                 "--extractor pixels", "weights import"):  # fmt: skip
        assert word in message


def test_data_that_can_not_be_had(sets: Path, tmp_path: Path) -> None:
    message = error("score", sets / "a", "--ref", "cifar10:test", "--data-root", tmp_path, *FAST, code=4)
    assert "https://" in message


def test_statistics_as_reference(sets: Path, tmp_path: Path) -> None:
    stats = tmp_path / "stats.npz"
    assert "n = 60" in run("reference", sets / "r", "-o", stats, *FAST).stderr
    document = json.loads(run("score", sets / "a", "--ref", stats, "--format", "json").stdout)
    whole = json.loads(run("score", sets / "a", "--ref", sets / "r", *FAST, "--format", "json").stdout)
    assert document["extractor"]["name"] == "pixels:4"
    assert document["metrics"]["fid"]["value"] == pytest.approx(whole["metrics"]["fid"]["value"], rel=1e-9)
    assert "moments alone" in document["skipped"]["kid"]
    assert "made by" in error("score", sets / "a", "--ref", stats, "--extractor", "pixels:5")
    with np.load(stats) as file:
        bare = {"mu": file["mu"], "sigma": file["sigma"]}
    np.savez(tmp_path / "bare.npz", **bare)
    done = run("score", sets / "a", "--ref", tmp_path / "bare.npz", *FAST, "--metric", "fid", "--format", "json")
    assert json.loads(done.stdout)["metrics"]["fid"]["n_real"] is None
    assert "does not say how" in done.stderr
    assert "48 dimensions" in error("score", sets / "a", "--ref", tmp_path / "bare.npz", "--extractor", "pixels:5")
    np.savez(tmp_path / "bare.npz", mu=bare["mu"], sigma=bare["sigma"] * np.nan)
    assert "NaN" in error("score", sets / "a", "--ref", tmp_path / "bare.npz", *FAST)
    np.savez(tmp_path / "bare.npz", mu=bare["mu"][1:], sigma=bare["sigma"])
    assert "(47,)" in error("score", sets / "a", "--ref", tmp_path / "bare.npz", *FAST)


def test_a_cache_that_can_not_be_written(sets: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run("score", sets / "a", "--ref", sets / "r", *FAST, env={"GANEVAL_CACHE": str(tmp_path / "file")})
    assert done.stderr.count("going on without a cache") == 1
    assert "FD" in done.stdout


def test_a_full_disk(sets: Path) -> None:
    """/dev/full answers every write as a full disk does."""
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*GANEVAL, "score", sets / "a", "--ref", sets / "r", *FAST, "--metric", "fid", "-q"],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode != 0
    assert done.stderr == "error: the output: No space left on device\n"


def test_the_reader_may_go_away(sets: Path) -> None:
    command = " ".join([*GANEVAL, "score", str(sets / "a"), "--ref", str(sets / "r"), *FAST, "-q"])
    done = subprocess.run(f"{command} | head -1", shell=True, capture_output=True, text=True, check=False)
    assert done.stderr == ""


def to_nobody(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs the program with a pipe as stdout that nobody reads any more."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        return subprocess.run([*GANEVAL, *arguments], stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(writer)


@pytest.mark.parametrize("arguments", [["list", "metrics"], ["--help"]], ids=" ".join)
def test_a_reader_that_has_gone_is_no_failure(arguments: list[str]) -> None:
    done = to_nobody(*arguments)
    assert (done.returncode, done.stderr) == (0, "")


def test_gates_and_pages_need_no_reader(sets: Path, tmp_path: Path) -> None:
    base = ["score", sets / "a", "--ref", sets / "r", *FAST, "--metric", "fid", "-q", "--html", tmp_path / "page.html"]
    done = to_nobody(*base, "--fail-if", "fid>0")
    assert done.returncode == 1
    assert "failed: " in done.stderr
    assert (tmp_path / "page.html").exists()
    assert to_nobody(*base).returncode == 0


def test_a_closed_stderr(sets: Path) -> None:
    command = " ".join([*GANEVAL, "score", str(sets / "a"), "--ref", str(sets / "r"), *FAST, "--metric", "fid"])
    done = subprocess.run(f"{command} 2>&-", shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "FD" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code"), [((), 0), (("--fail-if", "kid>-9"), 1), (("--metric", "no"), 2), (("--no",), 2)]
)
def test_a_full_disk_under_stderr_changes_no_exit_code(sets: Path, arguments: tuple[str, ...], code: int) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    base = [*GANEVAL, "score", sets / "a", "--ref", sets / "r", *FAST, "--metric", "kid"]
    with open("/dev/full", "w") as full:
        done = subprocess.run([*base, *arguments], stdout=subprocess.PIPE, stderr=full, text=True, check=False)
    assert done.returncode == code
    assert ("KID" in done.stdout) == (code < 2)


def test_the_bare_name_prints_its_help_to_stdout() -> None:
    done = run()
    assert done.stdout == run("--help").stdout
    assert done.stderr == ""


def test_quiet(sets: Path) -> None:
    assert run("score", sets / "a", "--ref", sets / "r", *FAST, "-q").stderr == ""
    # What the library logs is a warning too.
    no_folder = {"GANEVAL_CACHE": str(Path(__file__))}
    assert run("score", sets / "a", "--ref", sets / "r", *FAST, "-q", env=no_folder).stderr == ""


SLOW_EXTRACTOR = """
import pathlib, time
def net(images):
    pathlib.Path(__file__).with_name("begun").touch()
    time.sleep(0.2)
    return images.flatten(1)[:, :4].float()
"""


def test_ctrl_c_exits_130_and_leaves_nothing_half_written(sets: Path, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW_EXTRACTOR)
    target = tmp_path / "out.json"
    running = subprocess.Popen(
        [*GANEVAL, "score", sets / "a", "--ref", sets / "r", "-o", target,
         "--extractor", "slow:net", "--batch-size", "1"],
        stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(tmp_path)}, start_new_session=True,
        # A shell's background job, as a test run may be, passes on that SIGINT is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not (tmp_path / "begun").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    _, stderr = running.communicate(timeout=60)
    assert running.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert not target.exists()
    # The digests of what was read are whole and stay true.
    assert {path.suffix for path in cache_dir().rglob("*") if path.is_file()} <= {".memo"}


INTERRUPTED_LIBRARY = """
import os, signal
try:
    os.kill(os.getpid(), signal.SIGINT)
    while True: pass
except KeyboardInterrupt:
    raise ImportError("initialization failed")
"""


def test_ctrl_c_that_a_library_takes_for_its_own_failure_is_an_interruption(sets: Path, tmp_path: Path) -> None:
    (tmp_path / "clibrary.py").write_text(INTERRUPTED_LIBRARY)
    done = subprocess.run(
        [*GANEVAL, "score", sets / "a", "--extractor", "clibrary:net"], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert (done.returncode, done.stderr.split()) == (130, ["interrupted"])


def test_the_program_leaves_the_handler_of_ctrl_c_as_it_was() -> None:
    for handler in (signal.default_int_handler, signal.SIG_IGN):
        before = signal.signal(signal.SIGINT, handler)
        run("list", "metrics")
        assert signal.signal(signal.SIGINT, before) is handler


def test_an_extractor_of_the_users_own(sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "mine.py").write_text(
        "import torch\n"
        "def good(images): return images.float().mean((2, 3))\n"
        "def bad(images): return images.float()\n"
        "number = 3\n"
    )
    base = ["score", sets / "a", "--ref", sets / "r", "--metric", "fid", "--format", "json"]
    document = json.loads(run(*base, "--extractor", "mine:good").stdout)
    assert document["extractor"]["dim"] == 3
    assert "(60, 3, 12, 12)" in error(*base, "--extractor", "mine:bad")
    assert "no attribute" in error(*base, "--extractor", "mine:other")
    assert "int" in error(*base, "--extractor", "mine:number")


def test_lists_and_doctor() -> None:
    for what in ("metrics", "extractors", "datasets"):
        done = run("list", what)
        assert max(map(len, done.stdout.splitlines())) <= 80
    listed = run("list", "metrics").stdout
    assert "fid_debiased          FID, debiased        low   ref " in listed
    assert "(train): takes\n" in listed
    assert listed.endswith("docs/metrics.md\n")
    assert error("list") == "error: ganeval list needs a word: one of metrics, extractors, datasets, models"
    assert "did you mean 'models'" in error("list", "modles")
    text = run("doctor").stdout
    for word in ("torch", "cpu", "cache", "weights inception"):
        assert word in text


def test_the_help_names_the_commands_by_use_each_in_a_line() -> None:
    lines = run("--help").stdout.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in lines][: len(cli.commands)] == list(cli.commands)
    assert next(iter(cli.commands)) == "demo"
    assert not any(line.endswith("...") for line in lines[: len(cli.commands)])


def test_every_command_is_documented() -> None:
    docs = (Path(__file__).parents[1] / "README.md").read_text()
    for name, command in cli.commands.items():
        assert command.help, name
        assert f"ganeval {name}" in docs, f"README.md does not mention ganeval {name}"
        plain = {"--batch-size", "--precision", "--device", "--workers", "--no-cache"}
        for option in command.params:
            if isinstance(option, click.Option):
                assert option.help or option.opts[0] in plain, f"{name} {option.opts}"


@pytest.fixture(scope="module")
def digit_sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two .npy files of 300 training digits: `whole`, and `half` with the digits 0 to 4 alone."""
    root = tmp_path_factory.mktemp("digits")
    images = open_images("digits:train")
    pixels = np.stack([images[i].pixels.numpy().transpose(1, 2, 0) for i in range(len(images))])
    labels = images.labels.numpy()
    np.save(root / "whole.npy", pixels[:300])
    np.save(root / "half.npy", pixels[labels < 5][:300])
    return root


def test_collapse_prints_the_verdict_and_exits_3_where_asked(digit_sets: Path) -> None:
    found = run("collapse", digit_sets / "half.npy", "--ref", "digits:test", "--fail-on-collapse", code=3)
    assert "verdict    collapsed [dropped]" in found.stdout
    assert [line.split()[0] for line in found.stdout.splitlines() if line[:2] in ("5 ", "6 ", "7 ", "8 ", "9 ")]
    assert all(len(line) <= 80 or str(digit_sets) in line for line in found.stdout.splitlines())
    assert run("collapse", digit_sets / "half.npy", "--ref", "digits:test").exit_code == 0
    because, _, rest = found.stdout.partition("missing or thin")
    named = [line.partition("dropped ")[2][0] for line in because.splitlines() if " dropped " in line]
    assert named == [line[0] for line in rest.splitlines() if line[:1].isdigit()], "reasons and table have one order"
    assert "of its share" in rest
    honest = run("collapse", digit_sets / "whole.npy", "--ref", "digits:test", "--fail-on-collapse")
    assert "verdict    none" in honest.stdout
    assert "would be seen missing" in honest.stdout


def test_the_json_of_the_verdict_says_what_it_rests_on(digit_sets: Path) -> None:
    given = [digit_sets / "half.npy", "--ref", "digits:test", "--format", "json"]
    document, scored = (json.loads(run(command, *given).stdout) for command in ("collapse", "score"))
    assert document.pop("schema") == "ganeval.collapse/1"
    for key in ("samples", "reference", "extractor", "collapse"):
        assert document[key] == scored[key], key
    assert {"warnings", "seed", "environment"} <= document.keys()


def test_the_json_of_a_score_holds_the_collapse_block(digit_sets: Path) -> None:
    done = run("score", digit_sets / "half.npy", "--ref", "digits:test", "--format", "json", "--fail-on-collapse",
               "--metric", "vendi", code=3)  # fmt: skip
    block = json.loads(done.stdout)["collapse"]
    assert block["verdict"] == "collapsed"
    assert {row["name"] for row in block["evidence"] if "name" in row} >= {"5", "6", "7", "8", "9"}
    plain = json.loads(run("score", digit_sets / "whole.npy", "--ref", "digits:test", "--format", "json",
                           "--metric", "vendi").stdout)  # fmt: skip
    assert plain["collapse"] is None, "who names metrics gets these alone"


def test_the_help_says_when_there_is_no_verdict() -> None:
    shown = " ".join(run("score", "--help").stdout.split())
    assert "leaves out the verdict on collapse, unless" in shown
    assert "verdict" not in run("compare", "--help").stdout, "it makes none"


def test_several_sets_have_a_column_of_verdicts(digit_sets: Path) -> None:
    done = run("score", digit_sets / "half.npy", digit_sets / "whole.npy", "--ref", "digits:test", "--n", "300")
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith(("half", "whole"))]
    assert ["half.npy", "collapsed"] in [[row[0], row[-1]] for row in rows]
    assert ["whole.npy", "none"] in [[row[0], row[-1]] for row in rows]


def test_collapse_says_what_it_needs(sets: Path, tmp_path: Path) -> None:
    assert "too few to see a collapse" in error("collapse", sets / "a", "--ref", sets / "r", "--n", "30", *FAST)
    run("reference", sets / "r", "-o", tmp_path / "r.npz", *FAST)
    message = error("collapse", sets / "a", "--ref", tmp_path / "r.npz", *FAST)
    assert "a statistics file holds moments alone" in message
    # A score without the verdict goes on, and says why there is none.
    scored = run("score", sets / "a", "--ref", tmp_path / "r.npz", "--format", "json", *FAST)
    assert "moments alone" in json.loads(scored.stdout)["skipped"]["collapse"]
