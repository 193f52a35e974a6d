"""Missing modes: exact tests of each class's share, and the count of modes that Stacked MNIST asks for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy  # its stats, which take a second to import, come where they are asked for

from ganeval.collapse.shift import DROPPED, STARVED, Shift
from ganeval.errors import GanevalError
from ganeval.numerics.kmeans import kmeans
from ganeval.numerics.multiple import holm

if TYPE_CHECKING:
    from sklearn.cluster import KMeans

CONCENTRATED, CONCENTRATED_SHIFT = 3, 7
"""How much oftener than its share a class may be among the images that a classifier can't tell: more than real images
have, or, with a shift, more than real images of the same classes have, which under blur are fewer."""
UNDECIDED = 2
"""How much of its share of such images a class may have that the classifier did not even think of."""


@dataclass(frozen=True)
class Mode:
    """One class: its counts, the ratio of its shares, fake over real, and its p-value, adjusted for all classes.

    Where a classifier tells the classes, the ratio is the most likely one given its errors (`shift.estimated_ratios`),
    and not that of the counts: of a class that is gone, images of others are taken for it. p_value is None where the
    class is too small to be tested at these n. kind: 'dropped', 'starved', 'hidden' (too few, but perhaps among the
    unrealistic fakes) or None.
    examples: rows of the reference that show the class, where it is missing.
    """

    name: str
    n_fake: int
    n_real: int
    ratio: float
    p_value: float | None
    kind: str | None = None
    examples: tuple[int, ...] = ()


@dataclass(frozen=True)
class ModeCount:
    """How many modes were reached: `plain` counts those with one image or more, `hit` those with `threshold`.

    reached: those with a tenth of the fair share, n / reached / 10, and `threshold` images at least.
    kl: KL(fake || uniform) in nats of the shares. kl_floor: what a perfect generator has at this n, (K - 1) / 2n.
    """

    plain: int
    hit: int
    reached: int
    threshold: int
    classes: int
    n: int
    kl: float
    kl_floor: float


def count_modes(assigned: np.ndarray, classes: int, threshold: int = 3) -> ModeCount:
    """Counts the modes of a balanced set of classes that images reach, as on Stacked MNIST (Metz et al., 2017).

    assigned: integers (N,) in 0 .. classes - 1, as a classifier assigns them. The plain count, one image or more, is
    what papers print; a classifier's errors inflate it: a judge right on 99% of digits sees some 550 of 1000 modes
    where 100 exist, at N = 26,000. Three images or more, a tenth of the 26 that each of 1000 modes expects, still
    gives 155, for the fewer the modes, the more misread images are left for the others. So `reached` asks for a tenth
    of what each mode that exists would expect: the largest count r such that r modes have max(threshold, N / 10r)
    images. It misses modes that rare; `plain` and `hit` are there to compare with papers.

    The KL divergence to the uniform classes (nats, lower is better) is biased upwards by kl_floor (Miller, 1955).
    Raises GanevalError for assignments that are not such integers, or a threshold under 1.
    """
    assigned = np.asarray(assigned)
    if assigned.ndim != 1 or not len(assigned) or not np.issubdtype(assigned.dtype, np.integer):
        raise GanevalError(f"assigned must be integers (N,), got {assigned.dtype} {assigned.shape}")
    if threshold < 1 or assigned.min() < 0 or assigned.max() >= classes:
        raise GanevalError(
            f"assignments from {assigned.min()} to {assigned.max()} with {classes} classes and a threshold of "
            f"{threshold}; they must lie in 0 to classes - 1, and the threshold be 1 or more"
        )
    counts = np.bincount(assigned, minlength=classes)
    n = len(assigned)
    shares = counts[counts > 0] / n
    kl = float((shares * np.log(shares * classes)).sum())
    plain, hit = int((counts > 0).sum()), int((counts >= threshold).sum())
    largest_first = np.sort(counts)[::-1][:hit]
    enough = largest_first * np.arange(1, hit + 1) >= DROPPED * n
    reached = int(np.flatnonzero(enough).max(initial=-1)) + 1
    return ModeCount(plain, hit, reached, threshold, classes, n, kl, (classes - 1) / (2 * n))


def share_tests(fake: np.ndarray, real: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Holm-adjusted one-sided p-values (K,) that a class has too few fakes, NaN where untestable, and which are tested.

    fake, real: counts (K,). Given the class's pooled count, the fakes among it are hypergeometric if both sets come
    from one distribution (Fisher's exact test). Classes so small that even no fake at all could not reach level / K
    are left out; that depends on the pooled counts alone, so the error rate holds.
    """
    n, m, pooled = fake.sum(), real.sum(), fake + real
    smallest = scipy.stats.hypergeom.cdf(np.maximum(0, pooled - m), n + m, pooled, n)
    tested = smallest <= level / max(1, (pooled > 0).sum())
    adjusted = np.full(len(fake), np.nan)
    adjusted[tested] = holm(scipy.stats.hypergeom.cdf(fake, n + m, pooled, n)[tested])
    return adjusted, tested


def find_missing(
    fake: np.ndarray, real: np.ndarray, names: list[str], level: float, unreadable: float = 0.0,
    unclear: float = 0.0, shift: Shift | None = None,
) -> list[Mode]:  # fmt: skip
    """Every class as a Mode; those whose test rejects at `level` and whose ratio is under STARVED have a kind.

    shift: a classifier's ratios and p-values; without it they are those of the counts, by `share_tests`.
    unreadable: the share of fakes so unrealistic that their class says nothing. Each class is credited with its fair
    share of them, and one that would then reach STARVED is 'hidden': it may be among them.
    unclear: the share that the classifier is less sure of than of real images. What blur or noise makes hard to tell it
    does not spread evenly: it takes one class for another. So each class is credited with several times its share; but
    one to which a classifier gives so little probability that even UNDECIDED times the share leaves its mass under
    STARVED is not among them.
    """
    ratios = np.divide(fake / fake.sum(), real / real.sum(), out=np.full(len(real), np.inf), where=real > 0)
    if shift:
        adjusted, ratios = shift.p_values, np.where(np.isnan(shift.ratios), ratios, shift.ratios)
    else:
        adjusted, _ = share_tests(fake, real, level)
    credited = ratios + (CONCENTRATED_SHIFT if shift else CONCENTRATED) * unclear
    if shift:
        credited = np.fmin(credited, shift.masses + UNDECIDED * unclear)
    modes = []
    for name, a, b, ratio, most, p in zip(names, fake, real, ratios, credited, adjusted, strict=True):
        kind = None
        if p <= level and ratio < STARVED:
            hidden = max((1 - unreadable) * ratio + unreadable, most) >= STARVED
            kind = "hidden" if hidden else "dropped" if ratio < DROPPED else "starved"
        modes.append(Mode(name, int(a), int(b), float(ratio), None if np.isnan(p) else float(p), kind))
    return modes


def power(ratio: float, share: float, n: int, m: int, tests: int, level: float) -> float:
    """The chance that a class of this share of the real images is found missing, at `ratio` of its share.

    Binomial counts of the fakes, the real count at its expectation, Bonferroni over the tests (Holm finds no less).
    """
    real = round(share * m)
    counts = np.arange(math.ceil(STARVED * real * n / m))
    found = scipy.stats.hypergeom.cdf(counts, n + m, counts + real, n) <= level / tests
    return float(scipy.stats.binom.pmf(counts, n, ratio * share)[found].sum())


def images_to_see(count: float, n: int, m: int, tests: int, level: float) -> float | None:
    """The factor on n and m at which the loss of a class with this many real images is found; None where it is now.

    No fake among the k of the class has the chance (m / (n + m))^k, nearly, which must reach level / tests.
    """
    enough = math.log(tests / level) / math.log1p(n / m)
    return None if scipy.stats.hypergeom.cdf(0, n + m, round(count), n) <= level / tests else enough / count


def smallest_class(n: int, m: int, tests: int, level: float) -> float | None:
    """The smallest share of the real images whose complete absence from the fakes is found, or None."""
    drawn = np.arange(m)
    # The chance that none of k drawn from n + m is fake: the product of (m - i) / (n + m - i) for i < k.
    found = np.cumsum(np.log((m - drawn) / (n + m - drawn))) <= math.log(level / tests)
    return float(found.argmax() + 1) / m if found.any() else None


def clusters(held_out: np.ndarray, seed: int) -> KMeans:
    """k-means on real features (M, D) that the tests do not use again; a cluster expects 25 images, at most 20 of them.

    Differs from NDB (Richardson and Weiss, 2018), which fits its bins to the very images that it counts.
    """
    count = max(2, min(20, len(held_out) // 25))
    return kmeans(held_out, count, n_init=3, seed=seed)
