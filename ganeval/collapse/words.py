"""The verdict in plain words, and what this many images could have shown."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ganeval.collapse.classes import Classes
from ganeval.collapse.fidelity import Fidelity
from ganeval.collapse.modes import Mode, images_to_see, power, smallest_class
from ganeval.collapse.shift import LOSSES, Shift
from ganeval.collapse.similarity import EACH, Similarity, Support

LIKELY = 0.84
"""Standard errors above a limit at which 8 draws in 10 are above it."""


def reasons(
    kinds: tuple[str, ...], modes: tuple[Mode, ...], similarity: Similarity | None, fidelity: Fidelity | None,
    support: Support, level: float,
) -> tuple[str, ...]:  # fmt: skip
    """One sentence for each finding, or for the lack of any."""
    if similarity is None or fidelity is None:
        return (_twins(support), "without a reference, missing modes can't be seen: give one with --ref")
    said = [_fidelity(fidelity)] if fidelity.low else []
    for mode in emptiest_first(modes):
        if mode.kind in kinds or mode.kind == "hidden":
            said.append(_mode(mode))
    if "duplicated" in kinds:
        said.append(_twins(support) if fidelity.low else _duplicates(similarity))
    if "low_diversity" in kinds:
        said.append(f"{similarity.vendi_fake:.1f} kinds of images, by the Vendi score of order 2, "
                    f"where real ones have {similarity.vendi_real:.1f}")  # fmt: skip
    if kinds == ("low_diversity",):
        said.append("without missing modes or near-duplicates this may be blur")
    if not said and similarity.p_value <= level:
        said.append("the fakes are less diverse than real images, but by too little to call it collapse")
    return tuple(said) or ("no class is missing, and the fakes are as diverse as the real images",)


def emptiest_first(modes: Iterable[Mode]) -> tuple[Mode, ...]:
    """The modes with too few fakes; those whose printed ratios are equal stay in their order."""
    return tuple(sorted((mode for mode in modes if mode.kind), key=lambda mode: round(mode.ratio, 2)))


def _fidelity(fidelity: Fidelity) -> str:
    return (
        f"too unrealistic to judge: {fidelity.realistic_fake:.0%} of the fakes look real to the extractor, where "
        f"{fidelity.realistic_real:.0%} of real images do ({fidelity.floor:.0%} are needed)"
    )


def _mode(mode: Mode) -> str:
    counts = f"{mode.name}: {mode.n_fake} of the fakes, {mode.n_real} of the real images"
    share = f"an estimated {mode.ratio:.2f} of its share"
    if mode.kind == "hidden":
        return f"{counts}, {share} (it may be among the unrealistic fakes)"
    return f"{mode.kind} {counts}, {share}"


def _duplicates(s: Similarity) -> str:
    excess = s.duplicates_fake - s.duplicates_real
    return (
        f"near-duplicates: {s.duplicates_fake:.2%} of the pairs of fakes, {s.duplicates_real:.2%} of the pairs of real "
        f"images, as if there were only {1 / excess:,.0f} different fakes"
    )


def _twins(support: Support) -> str:
    if not support.pairs:
        return f"no copies among {support.n} fakes"
    return (
        f"{support.with_twin:.0%} of {support.n} fakes are copies of another (birthday estimate of the number of "
        f"different images: {support.estimate:,.0f})"
    )


def minimum_detectable(
    classes: Classes, shift: Shift | None, similarity: Similarity, compared: tuple[int, int, int], level: float
) -> dict[str, Any]:
    """The power for a class of median size, the smallest class whose loss is seen, and the largest support.

    Where a classifier tells the classes, the power is the median over the classes, its errors considered, and the
    smallest class that which could be seen if it made none.
    The support: copies drawn from S images add 1 / S to the rate of near-duplicates; S such that this exceeds what
    the permutations have but for `level` of them, and the least that counts, by 0.84 standard errors (Poisson): 8
    times in 10. Approximate: the test is a maximum of two.
    """
    fake, real = classes.counts()
    n, m, tests = int(fake.sum()), int(real.sum()), int((fake + real > 0).sum())
    share = float(np.median(real[real > 0])) / m
    seen = {name: float(np.median(shift.power[name][real > 0])) if shift else power(ratio, share, n, m, tests, level)
            for name, ratio in LOSSES.items()}  # fmt: skip
    smallest = smallest_class(n, m, tests, level)
    pairs = compared[0] * (compared[0] - 1) / 2
    q, z = max(similarity.detectable_rate, EACH / (compared[0] - 1)), LIKELY
    # x = 1 / S solves x - q = z sqrt((x + r) / pairs), r the real rate.
    b = 2 * q + z * z / pairs
    x = (b + math.sqrt(b * b - 4 * (q * q - z * z * similarity.duplicates_real / pairs))) / 2
    support = int(1 / x)
    lost = (
        f"a class of {share:.0%} of the real images would be seen missing {10 * seen['dropped']:.0f} times in 10, "
        f"at a quarter of its share {10 * seen['quarter']:.0f}, at half {10 * seen['half']:.0f}; "
        + (f"classes under {smallest:.1%} could be lost unseen; " if smallest else "")
    )
    text = f"copies, if the fakes were drawn from {support:,} images or fewer, 8 times in 10"
    text = lost + text if tests > 1 else f"no missing mode, for there is one class; {text}"
    return {"class_share": share, "power": seen, "smallest_class": smallest, "support": support, "text": text}


def notes(
    classes: Classes, shift: Shift | None, n: int, m: int, compared: tuple[int, int, int], level: float
) -> tuple[str, ...]:
    """What was left out, and what could not be tested: one class alone, classes too small, labels of no real image."""
    said = []
    if compared[0] < n or compared[1] + compared[2] < m:
        said.append(
            f"diversity and realism: {compared[0]} of {n} fakes, {compared[1]} + {compared[2]} of {m} real images"
        )
    fake, real = classes.counts()
    if (real > 0).sum() == 1:
        said.append("all real images are of one class: missing modes can't be seen")
    elif (shift is None or np.median(shift.power["dropped"][real > 0]) < 0.5) and (
        needed := images_to_see(
            float(np.median(real[real > 0])), fake.sum(), real.sum(), (fake + real > 0).sum(), level
        )
    ):
        said.append(
            f"the loss of a class of median size could not be seen: it takes {math.ceil(needed * n):,} fakes and "
            f"{math.ceil(needed * m):,} real images"
        )
    if classes.how == "labels" and (strange := np.flatnonzero((fake > 0) & (real == 0))).size:
        said.append(
            f"{fake[strange].sum()} fakes have a label that no real image has, such as {classes.names[strange[0]]}"
        )
    return tuple(said)
