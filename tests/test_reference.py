"""Statistics files: streamed moments, kept features, and what is found out before a long run and after a broken one."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

import ganeval
from ganeval import summarise
from ganeval.errors import GanevalError
from ganeval.extractors.pixels import load
from ganeval.images import digests, open_images
from ganeval.images.digests import Memo
from ganeval.reference import ALIGNED, is_statistics, load_statistics, write_statistics
from ganeval.settings import Settings
from ganeval.types import Features

REAL = np.random.RandomState(0).randint(0, 256, (130, 8, 8, 3), dtype=np.uint8)
FAKE = np.random.RandomState(1).randint(0, 256, (90, 8, 8, 3), dtype=np.uint8)


class Counting:
    """Pixels, counting the images that it saw; fails at the image number `until`."""

    def __init__(self, until: int | None = None) -> None:
        self.net, self.seen, self.until = load("2", None), 0, until
        self.name, self.fingerprint, self.verified, self.weights_sha256 = "counting", "counting/v1", True, None
        self.resize = self.net.resize

    def __call__(self, inputs: torch.Tensor) -> tuple[torch.Tensor, None]:
        if self.until is not None and self.seen + len(inputs) > self.until:
            raise KeyboardInterrupt
        self.seen += len(inputs)
        return self.net(inputs)[0], None

    def to(self, device: object) -> Counting:
        return self


def make(path: Path, extractor: object = "pixels:4", *, keep: bool = False, **settings: object) -> ganeval.Moments:
    return summarise.reference_with(
        REAL, path, Settings(extractor=extractor, batch_size=10, **settings), keep_features=keep
    )


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of 40 images; in the cache of one test alone."""
    monkeypatch.setattr(summarise, "PART", 40)


@pytest.mark.parametrize(("dtype", "exact"), [(torch.float64, 1e-12), (torch.float32, 16 * 2**-23 * 32)])
@pytest.mark.parametrize("cuts", [[4096], [1, 4095], [1000, 1, 3000, 95]])
def test_moments_are_exact_far_from_zero_however_the_rows_are_cut(
    cuts: list[int], dtype: torch.dtype, exact: float, tmp_path: Path
) -> None:
    """Columns +-1 of a Hadamard design, scaled and moved: mean and covariance are known in closed form.

    Of float32 rows 1024 products, of up to 16, are summed in float32: the roundings, each of 2^-24, add as its root.
    """
    signs = torch.tensor([[(-1) ** ((i >> k) & 1) for k in range(6)] for i in range(4096)], dtype=dtype)
    centre, scale = (torch.tensor(row, dtype=dtype) for row in ([3e3, -2e3, 0, 1, 5e3, 7], [1, 2, 0.5, 4, 1, 3]))
    found = write_statistics(tmp_path / "s.npz", (signs * scale + centre).split(cuts))
    assert torch.allclose(found.mean, centre.double(), rtol=1e-13)
    cov = torch.diag(scale.double() ** 2) * 4096 / 4095
    assert torch.allclose(found.cov, cov, rtol=exact, atol=exact)
    assert load_statistics(tmp_path / "s.npz").n == 4096


def test_kept_features_are_those_of_the_images(tmp_path: Path, small_parts: None) -> None:
    plain, kept = tmp_path / "plain.npz", tmp_path / "kept.npz"
    make(plain)
    made = make(kept, keep=True)
    parts = [ganeval.extract(REAL[i : i + 40], "pixels:4") for i in range(0, 130, 40)]
    by_content = [sorted(range(len(part)), key=lambda i: bytes(part.survey.digests[i])) for part in parts]
    rows = np.concatenate([part.pooled.numpy()[order] for part, order in zip(parts, by_content, strict=True)])
    with np.load(plain) as one, np.load(kept) as two:
        assert np.array_equal(two["features"], rows)
        assert all(np.array_equal(one[name], two[name]) for name in one.files)
        assert set(two.files) - set(one.files) == {"features"}
        assert np.allclose(two["sigma"], np.cov(rows.T.astype(float)), rtol=1e-6, atol=1e-8)
    moments = load_statistics(kept)
    assert moments.n == made.n == 130
    assert moments.features is not None
    assert moments.features.pooled.data_ptr() % ALIGNED == 0, "read in place, at an address that is no trouble"
    assert torch.equal(moments.features.pooled, torch.from_numpy(rows))


def test_kept_features_serve_the_metrics_that_are_named(tmp_path: Path) -> None:
    plain, kept = tmp_path / "plain.npz", tmp_path / "kept.npz"
    make(plain)
    make(kept, keep=True)
    by_itself, without = ganeval.score(FAKE, kept), ganeval.score(FAKE, plain)
    assert by_itself["fid"].value == without["fid"].value
    assert by_itself.metrics.keys() == without.metrics.keys()
    assert "--metric kid" in by_itself.skipped["kid"]
    assert "130 features" in by_itself.skipped["kid"]
    named, images = (
        ganeval.score(FAKE, source, extractor="pixels:4", metrics=["fid", "kid", "mmd", "precision", "coverage"])
        for source in (kept, REAL)
    )
    for name in ("kid", "mmd", "precision", "coverage"):
        assert named[name].value == images[name].value, "rows come in the same order"
        assert named[name].n_real == 130
    assert named["fid"].value == without["fid"].value, "from the moments, not the rows"


def test_statistics_are_made_from_python_too(tmp_path: Path) -> None:
    made = ganeval.make_reference(REAL, tmp_path / "s.npz", extractor="pixels:4", keep_features=True)
    assert (made.n, made.extractor) == (130, "pixels:4")
    found = ganeval.score(FAKE, tmp_path / "s.npz", metrics=["fid", "kid"])
    assert found["fid"].value == pytest.approx(ganeval.score(FAKE, REAL, extractor="pixels:4")["fid"].value)


def test_kept_features_are_read_by_the_metrics_that_need_them_alone(tmp_path: Path) -> None:
    rows = np.random.RandomState(0).rand(40, 3).astype(np.float32)
    facts = {"mu": rows.mean(0), "sigma": np.cov(rows.T), "n": 40, "fingerprint": "net"}
    rows[7] = np.nan
    np.savez(tmp_path / "s.npz", features=rows, **facts)
    fake = Features(torch.rand(50, 3), None, "net")
    assert ganeval.score(fake, tmp_path / "s.npz", metrics=["fid"])["fid"].value < 1
    with pytest.raises(GanevalError, match="real has NaN or infinity in 1 of 40 rows"):
        ganeval.score(fake, tmp_path / "s.npz", metrics=["kid"])


def test_unchanged_statistics_are_not_hashed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the features of a million images they are 8 GB."""
    monkeypatch.setattr(digests, "SETTLED", 0)
    make(tmp_path / "s.npz", keep=True)
    first = ganeval.score(FAKE, tmp_path / "s.npz").reference
    read: list[object] = []
    monkeypatch.setattr(digests, "sha256_file", lambda path: read.append(path) or "00")
    assert ganeval.score(FAKE, tmp_path / "s.npz").reference == first
    assert read == []
    ganeval.score(FAKE, tmp_path / "s.npz", paranoid=True)
    assert read == [tmp_path / "s.npz"]


def test_n_draws_from_kept_features(tmp_path: Path) -> None:
    make(tmp_path / "kept.npz", keep=True)
    drawn = ganeval.score(FAKE, tmp_path / "kept.npz", metrics=["mmd", "fid"], n=60)
    assert (drawn["mmd"].n_fake, drawn["mmd"].n_real) == (60, 60)
    assert drawn["fid"].n_real == 130, "moments are of all images"
    fake = FAKE[np.sort(np.random.RandomState(0).permutation(90)[:60])]
    whole = ganeval.score(fake, tmp_path / "kept.npz", metrics=["mmd"])
    assert whole["mmd"].n_real == 130, "not the estimate that was kept of 60"
    with pytest.raises(GanevalError, match="--n 131"):
        ganeval.score(REAL, tmp_path / "kept.npz", metrics=["mmd"], n=131)


def test_what_is_drawn_from_kept_features_is_said_and_no_unequal_n(tmp_path: Path) -> None:
    make(tmp_path / "kept.npz", keep=True)
    drawn = ganeval.score(FAKE, tmp_path / "kept.npz", metrics=["one_nn_accuracy"], n=60)
    assert not any("unequal n" in warning for warning in drawn.warnings)
    assert "(130 images; for metrics of features a random 60)" in " ".join(drawn.to_text().split())
    assert drawn.to_dict()["reference"]["drawn"] == 60
    whole = ganeval.score(FAKE, tmp_path / "kept.npz", metrics=["one_nn_accuracy", "fid"])
    assert sum("90 samples against 130" in warning for warning in whole.warnings) == 2, "1-NN accuracy and FD"
    assert "(130 images)" in whole.to_text()


def test_what_was_interrupted_goes_on_where_it_was(tmp_path: Path, small_parts: None) -> None:
    broken = Counting(until=100)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "s.npz", broken, keep=True)
    assert list(tmp_path.iterdir()) == [], "nothing half"
    whole = Counting()
    made = make(tmp_path / "s.npz", whole, keep=True)
    assert (broken.seen, whole.seen) == (100, 130 - 80), "two parts of 40 were there"
    assert torch.equal(made.cov, make(tmp_path / "anew.npz", Counting(), cache=False).cov)


def test_digests_are_kept_once_for_all_parts(
    tmp_path: Path, small_parts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "real.npy", REAL)
    saves, save = [], Memo._save
    monkeypatch.setattr(digests, "SETTLED", -(10**12))
    monkeypatch.setattr(Memo, "_save", lambda self, lines: saves.append(len(lines)) or save(self, lines))
    summarise.reference_with(tmp_path / "real.npy", tmp_path / "s.npz", Settings(extractor="pixels:4", batch_size=10))
    assert saves == [130]


def test_a_place_that_can_not_be_written_is_found_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    net = Counting()
    with pytest.raises(GanevalError, match=r"could not write .*s\.npz"):
        make(tmp_path / "file" / "s.npz", net)
    assert net.seen == 0


def test_what_can_not_be_kept_or_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(GanevalError, match="leave out --skip-bad"):
        make(tmp_path / "s.npz", keep=True, skip_bad=True)
    with pytest.raises(GanevalError, match=r"1 image\(s\) are not enough"):
        write_statistics(tmp_path / "s.npz", [torch.zeros(1, 3)])
    with pytest.raises(GanevalError, match="0 image"):
        write_statistics(tmp_path / "s.npz", [])
    assert list(tmp_path.iterdir()) == []
    np.savez(tmp_path / "s.npz", mu=np.zeros(3), sigma=np.eye(3), n=5, features=np.zeros((4, 3), np.float32))
    with pytest.raises(GanevalError, match=r"features float32 \(4, 3\) and the statistics of 5 rows"):
        load_statistics(tmp_path / "s.npz")


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"sigma": -np.eye(3)}, "variance -1"),
        ({"mu": np.array([0, np.nan, 0])}, "NaN or infinity"),
        ({"sigma": np.eye(3) + 1j}, "sigma complex128"),
        ({"mu": np.zeros(3, complex)}, "mu complex128"),
        ({"mu": np.zeros(0), "sigma": np.zeros((0, 0))}, r"mu \(0,\)"),
        ({"n": "abc"}, "n='abc'"),
        ({"n": 2.5}, "n=2.5"),
        ({"n": True}, "n=True"),
        ({"n": 0}, "n=0"),
        ({"n": -5}, "n=-5"),
        ({"n": [4, 4]}, "can't read"),
        ({"fingerprint": 3}, "fingerprint=3"),
        ({"extractor": 3}, "extractor=3"),
    ],
)
def test_statistics_that_can_not_be(tmp_path: Path, facts: dict[str, object], words: str) -> None:
    np.savez(tmp_path / "s.npz", **{"mu": np.zeros(3), "sigma": np.eye(3), "n": 4, **facts})
    with pytest.raises(GanevalError, match=words) as caught:
        load_statistics(tmp_path / "s.npz")
    assert "\n" not in str(caught.value)


def test_no_changed_byte_of_statistics_gives_a_traceback(tmp_path: Path) -> None:
    path = tmp_path / "s.npz"
    rows = np.random.RandomState(0).rand(4, 3).astype(np.float32)
    np.savez(path, features=rows, mu=rows.mean(0), sigma=np.cov(rows.T), n=4, extractor="x")
    whole = path.read_bytes()
    start = whole.index(b"PK\x01\x02")
    for i in (*range(start, start + 46), *range(0, len(whole), 97)):
        for changed in (0, 14, whole[i] ^ 1, whole[i] ^ 0xFF):
            path.write_bytes(whole[:i] + bytes([changed]) + whole[i + 1 :])
            with contextlib.suppress(GanevalError):
                load_statistics(path) if is_statistics(path) else open_images(path)


def test_features_that_claim_more_rows_than_they_hold(tmp_path: Path) -> None:
    """The bytes after them are their neighbour's."""
    path = tmp_path / "s.npz"
    with zipfile.ZipFile(path, "w") as archive, archive.open("features.npy", "w") as member:
        np.lib.format.write_array_header_1_0(member, {"descr": "<f4", "fortran_order": False, "shape": (6, 3)})
        member.write(bytes(4 * 3 * 4))
    with zipfile.ZipFile(path, "a") as archive:
        for name, array in (("mu", np.zeros(3)), ("sigma", np.eye(3)), ("n", np.array(6))):
            with archive.open(f"{name}.npy", "w") as member:
                np.save(member, array)
    with pytest.raises(GanevalError, match=r"can't read the features .*float32 \(6, 3\)"):
        load_statistics(path)


def test_the_command_keeps_features(tmp_path: Path) -> None:
    np.save(tmp_path / "real.npy", REAL)
    fixed = ["reference", str(tmp_path / "real.npy"), "-o", str(tmp_path / "s.npz"), "--extractor", "pixels:4"]
    done = subprocess.run(
        [sys.executable, "-m", "ganeval", *fixed, "--keep-features"], capture_output=True, check=False
    )
    assert (done.returncode, done.stderr.count(b"wrote")) == (0, 1)
    with zipfile.ZipFile(tmp_path / "s.npz") as archive:
        assert archive.testzip() is None
        assert archive.namelist()[0] == "features.npy"


def test_kept_features_serve_a_comparison(tmp_path: Path) -> None:
    make(tmp_path / "kept.npz", keep=True)
    kept, images = (
        ganeval.compare(FAKE, REAL[:60] // 2, reference, extractor="pixels:4", metrics=["mmd", "recall"], cache=False)
        for reference in (tmp_path / "kept.npz", REAL)
    )
    for name in ("mmd", "recall"):
        one, two = kept[name], images[name]
        assert (one.a, one.b, one.p_value) == (two.a, two.b, two.p_value)
