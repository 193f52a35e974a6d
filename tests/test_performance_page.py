"""The page on performance says what the records say."""

from __future__ import annotations

import pytest

from tests.benchmarks.growth import exponent
from tests.benchmarks.performance import PAGE, end_to_end, page
from tests.benchmarks.scale_page import arithmetic


def test_the_committed_page_is_what_the_records_generate() -> None:
    assert PAGE.read_text() == page(), "run python -m tests.benchmarks.performance"


def test_the_exponent_is_the_slope_of_the_sizes_that_took_long_enough() -> None:
    assert exponent({1000: 0.5, 2000: 4.0, 4000: 16.0}) == pytest.approx(2)
    assert exponent({1000: 0.1, 2000: 0.2}) == pytest.approx(1)
    assert exponent({1000: 5.0}) is None


def test_rates_are_medians_and_ratios_are_to_the_fastest_peer() -> None:
    def run(package: str, seconds: float, value: float = 2.0) -> dict[str, object]:
        return {"package": package, "user": seconds / 2, "system": seconds / 2, "wall": 9.0, "peak_mb": 1024,
                "value": value, "load": 1.0}  # fmt: skip

    record = {
        "images": "cifar10", "n": 50, "versions": {"torch": "1", "clean-fid": "absent"},
        "machine": {"cpu": "A", "instructions": ["avx2"], "cores": 2, "threads": 1},
        "runs": [
            *(run("ganeval, inception", s, 2.00002) for s in (4.0, 5.0, 50.0)),
            *(run("torch-fidelity", s) for s in (20.0, 10.0, 25.0)),
            run("pytorch-fid", 25.0), {"package": "clean-fid", "failed": "why", "load": 3.0},
            run("forward fp32", 1.0, 10.0), run("gemm float32", 1.0, 228.44), run("gemm float32", 1.0, 100.0),
        ],
    }  # fmt: skip
    few = {"n": 5, "runs": [run("ganeval, inception", 0.5), run("torch-fidelity", 2.0)]}
    text = "\n".join(end_to_end(record, few))
    assert "| ganeval, inception | 3 | 20.0 | 20.0 | 50% | 9 | 1.00 | 2.000020 | +1.0e-05 |" in text
    assert "| clean-fid | 0 | | | | | | | |" in text
    assert "fastest peer (5.0): ganeval, inception: 4.0 times." in text
    assert "Further images a CPU second over those of the fastest peer (5.0): ganeval, inception: 4.0 times." in text
    assert "would be 20.0: 50%." in text
    assert "load average 1 to 3" in text
    assert "clean-fid absent" not in text


def test_the_arithmetic_of_many_images() -> None:
    """20 images and 10,000 rows a CPU second: 5e6 and 1e4 core seconds, on two cores and on 64 such machines."""
    text = " ".join(arithmetic(10_000, 2048, 20.0, 2))
    assert "100,000,000 / 20.0 images a CPU second = 1,389 core hours" in text
    assert "on 2 cores 696 hours (29 days); on 64 such machines 11 hours" in text
    assert "= 2.8 core hours, 0.2% of the whole" in text
    assert "= 33.6 MB" in text
    assert "2.15 GB in all, 1.7 s at 10 Gbit/s" in text
    assert "= 819 GB" in text
    assert "= 2.0e+16 operations, those within the reference 2,000 times that" in text
    assert "not measured" in " ".join(arithmetic(10_000, 2048, None, 2))
