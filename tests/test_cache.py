"""The cache returns what was put in, and treats everything else as absent."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from ganeval import cache as caches
from ganeval.errors import GanevalError
from ganeval.files import cache_dir, check_place, write_result
from ganeval.types import Estimate, Features, Survey


def some_features(seed: int = 0, n: int = 50) -> Features:
    random = torch.Generator().manual_seed(seed)
    survey = Survey(
        np.random.RandomState(seed).randint(256, size=(n, 32), dtype=np.uint8), np.arange(n)[::-1].copy(),
        Counter({"8x8": n}), Counter({"PNG": n}), Counter({"grey repeated": 3}), ("bad.png",),
    )  # fmt: skip
    return Features(
        torch.randn(n, 7, generator=random), torch.randn(n, 3, generator=random), "net/v1",
        torch.arange(n) % 3, ("a", "b", "c"), survey,
    )  # fmt: skip


def assert_same(a: Features, b: Features) -> None:
    assert torch.equal(a.pooled, b.pooled)
    assert torch.equal(a.logits, b.logits)
    assert torch.equal(a.labels, b.labels)
    assert (a.fingerprint, a.class_names) == (b.fingerprint, b.class_names)
    assert np.array_equal(a.survey.digests, b.survey.digests)
    assert np.array_equal(a.survey.indices, b.survey.indices)
    assert (a.survey.sizes, a.survey.formats) == (b.survey.sizes, b.survey.formats)
    assert (a.survey.treatments, a.survey.skipped) == (b.survey.treatments, b.survey.skipped)


def test_features_come_back_as_they_were() -> None:
    caches.save_features("k", some_features())
    assert_same(caches.load_features("k"), some_features())


def test_what_was_never_saved_is_absent() -> None:
    assert caches.load_features("k") is None
    assert caches.load_estimate("k") is None


def test_the_source_of_all_that_metrics_import_is_in_the_key_of_estimates() -> None:
    program = """
import importlib, pkgutil, sys, ganeval.metrics, ganeval.numerics
for package in (ganeval.metrics, ganeval.numerics):
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
print(*(module.__file__ for name, module in sys.modules.items() if name.startswith("ganeval.")), sep="\\n")
"""
    imported = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    files = {Path(line) for line in imported.stdout.splitlines()}
    # Of these no number depends.
    assert {path for path in files if path.stem not in ("errors", "registry")} == set(caches.metric_sources())


def test_what_was_sealed_in_one_form_is_not_read_in_another() -> None:
    assert caches.unsealed(caches.sealed(b"content", b"form/1\n"), b"form/1\n") == b"content"
    assert caches.unsealed(caches.sealed(b"content", b"form/1\n"), b"form/2\n") is None


def test_an_estimate_comes_back_as_it_was() -> None:
    estimate = Estimate(1.5, 0.1, (1.3, 1.7), 10, 20, {"k": 3})
    caches.save_estimate("ab", estimate)
    assert caches.load_estimate("ab") == estimate
    caches.save_estimate("cd", Estimate(float("inf")))
    assert caches.load_estimate("cd") == Estimate(float("inf"))


@pytest.mark.parametrize("damage", ["truncate", "empty", "text", "pickle"])
def test_a_damaged_file_counts_as_absent(damage: str, caplog: pytest.LogCaptureFixture) -> None:
    caches.save_features("k", some_features())
    path = cache_dir() / "features" / "k.npz"
    whole = path.read_bytes()
    content = {"truncate": whole[: len(whole) // 2], "empty": b"", "text": b"hello"}.get(damage)
    if content is None:
        np.savez(path, pooled=np.array([object()], dtype=object))
    else:
        path.write_bytes(content)
    assert caches.load_features("k") is None
    assert "k.npz" in caplog.text


def test_no_changed_byte_of_features_ends_a_run() -> None:
    """Of what zip says of a member, where zipfile raises all that it can, and of places here and there."""
    caches.save_features("k", some_features(n=2))
    path = cache_dir() / "features" / "k.npz"
    whole = path.read_bytes()
    start = whole.index(b"PK\x01\x02")
    for i in (*range(start, start + 46), *range(0, len(whole), 97)):
        for changed in (0, 14, whole[i] ^ 1, whole[i] ^ 0xFF):
            path.write_bytes(whole[:i] + bytes([changed]) + whole[i + 1 :])
            found = caches.load_features("k")
            assert found is None or torch.equal(found.pooled, some_features(n=2).pooled)


def test_what_another_version_wrote_is_said_so(caplog: pytest.LogCaptureFixture) -> None:
    caches.save_features("k", some_features())
    path = cache_dir() / "features" / "k.npz"
    for name in ("indices", "pooled", "meta"):
        with np.load(path) as file:
            arrays = {key: file[key] for key in file.files if key != name}
        np.savez(path.with_name(f"{name}.npz"), **arrays)
        assert caches.load_features(name) is None
    path = cache_dir() / "estimates" / "ab" / "ab.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(caches.sealed(b'{"number": 1.5, "interval": null}', caches.ESTIMATE))
    assert caches.load_estimate("ab") is None
    assert [record.getMessage().count("was written by another version") for record in caplog.records] == [0, 0, 0, 1]
    assert [record.getMessage().count("were written by another version") for record in caplog.records] == [1, 1, 1, 0]


@pytest.mark.parametrize("content", ["", "null", "5", '"x"', "[" * 100_000, '{"value": 1.5, "interval": null}'])
def test_an_estimate_without_its_checksum_counts_as_absent(content: str, caplog: pytest.LogCaptureFixture) -> None:
    caches.save_estimate("ab", Estimate(12.5))
    path = cache_dir() / "estimates" / "ab" / "ab.json"
    path.write_text(content)
    assert caches.load_estimate("ab") is None
    assert "ab.json is damaged" in caplog.text


def test_no_changed_byte_of_an_estimate_is_served_as_its_number() -> None:
    caches.save_estimate("ab", Estimate(12.5))
    path = cache_dir() / "estimates" / "ab" / "ab.json"
    whole = path.read_bytes()
    for changed in (whole.replace(b"12.5", b"92.5"), *(whole[:i] + b"9" + whole[i + 1 :] for i in range(len(whole)))):
        path.write_bytes(changed)
        assert changed == whole or caches.load_estimate("ab") is None


def test_a_key_depends_on_every_part() -> None:
    assert len({caches.key_of("a", "b"), caches.key_of("ab", ""), caches.key_of("a"), caches.key_of("a", None)}) == 4


def _fill(seed: int) -> None:
    for _ in range(20):
        caches.save_features("shared", some_features(seed, n=20_000))


def test_two_processes_writing_one_key_leave_a_whole_file() -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_fill, args=(seed,)) for seed in (0, 1)]
    for worker in workers:
        worker.start()
    seen = 0
    while any(worker.is_alive() for worker in workers):
        found = caches.load_features("shared")
        if found is not None:
            seen += 1
            assert len(found) == 20_000
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert seen
    assert caches.load_features("shared") is not None
    assert not list((cache_dir() / "features").glob(".*"))


def test_what_a_killed_writer_left_is_cleared_after_a_day() -> None:
    folder = cache_dir() / "features"
    folder.mkdir(parents=True)
    for name, age in (("old", 2 * 86_400), ("young", 60)):
        (folder / f".{name}.partial").touch()
        os.utime(folder / f".{name}.partial", (time.time() - age,) * 2)
    caches.save_features("k", some_features())
    assert {path.name for path in folder.iterdir()} == {".young.partial", "k.npz"}


@pytest.mark.parametrize("place", ["~no-such-user/x", ""])
def test_no_home_folder_is_said_in_one_line(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setenv("GANEVAL_CACHE", place)
    monkeypatch.setattr(Path, "expanduser", homeless)
    with pytest.raises(GanevalError, match=r"no home folder here .*; set GANEVAL_CACHE"):
        cache_dir()


def test_names_may_be_as_long_as_the_file_system_takes(tmp_path: Path) -> None:
    for name in ("a" * 255, "\u00e9" * 127, "\U0001f600" * 63):
        check_place(tmp_path / name)
        write_result(tmp_path / name, b"x")
    assert sorted(map(len, os.listdir(os.fsencode(tmp_path)))) == [252, 254, 255]


def test_a_writer_that_is_killed_leaves_nothing_under_the_name() -> None:
    def die_writing() -> None:
        from ganeval.files import atomic_write

        with atomic_write(cache_dir() / "features" / "k.npz") as file:
            file.write(b"half")
            file.flush()
            os.kill(os.getpid(), 9)

    worker = multiprocessing.get_context("fork").Process(target=die_writing)
    worker.start()
    worker.join()
    assert worker.exitcode == -9
    assert caches.load_features("k") is None
