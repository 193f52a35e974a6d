"""The warnings that save a user's paper: what about these two sets makes a number untrustworthy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ganeval.evaluate import Scored
from ganeval.types import Features, Moments, Survey

SMALL_N = 2048
"""Below this many images pytorch-fid and the field advise against FID with 2048 features."""


def advise(
    fake: Features, real: Features | Moments | None, scored: Mapping[str, Scored], *, verified: bool,
    train: Features | None = None,
) -> Iterator[str]:  # fmt: skip
    """One line for each thing that a reader of these numbers should know, the gravest first."""
    yield from _sample_size(fake, real, scored)
    yield from (
        f"{name}: {line.estimate.details['warning']}"
        for name, line in scored.items()
        if "warning" in line.estimate.details
    )
    if not verified:
        yield "the weights are not the published ones: these numbers are not comparable with published ones"
    if fake.survey:
        yield from _samples(fake.survey)
    if isinstance(real, Features) and fake.survey and real.survey:
        yield from _two_sets(fake.survey, real.survey)
    if train is not None and train.survey and fake.survey:
        yield from _training_set(fake.survey, real.survey if isinstance(real, Features) else None, train.survey)


def _sample_size(fake: Features, real: Features | Moments | None, scored: Mapping[str, Scored]) -> Iterator[str]:
    if "fid" not in scored or real is None:
        return
    n_real = real.n if isinstance(real, Moments) else len(real)
    dim = fake.pooled.shape[1]
    small = min(len(fake), n_real or len(fake))
    # Small networks have few features: n is then judged against the features alone.
    need = max(SMALL_N, dim) if dim >= SMALL_N else dim
    if small < need:
        trusted = [name for name in ("fid_debiased", "kid", "mmd") if name in scored and scored[name].estimate.interval]
        instead = f"; trust {' and '.join(trusted)} with their intervals instead" if trusted else ""
        yield (
            f"FID can't be trusted at n = {small} with {dim} features (it needs at least {need}): "
            f"it is biased upwards{instead}"
        )
    if "fid_debiased" in scored and not scored["fid_debiased"].estimate.interval:
        why = scored["fid_debiased"].estimate.details["no_interval"]
        yield f"fid_debiased: no interval, and a doubtful value: {why}"
    if n_real and n_real != len(fake):
        yield (
            f"unequal n: {len(fake)} samples against {n_real} reference images; "
            "FID depends on n, so compare it only with numbers at the same two n"
        )


def _samples(survey: Survey) -> Iterator[str]:
    n = len(survey.digests)
    if copies := n - len({*map(bytes, survey.digests)}):
        yield f"{copies} of the {n} samples are exact duplicates of another sample"
    if survey.skipped:
        yield f"{len(survey.skipped)} sample(s) could not be read and were left out: {_some(survey.skipped)}"


def _two_sets(fake: Survey, real: Survey) -> Iterator[str]:
    shared = len({*map(bytes, fake.digests)} & {*map(bytes, real.digests)})
    if shared:
        yield f"{shared} image(s) are in the samples and in the reference: copies make every score look better"
    if real.skipped:
        yield f"{len(real.skipped)} reference image(s) could not be read and were left out: {_some(real.skipped)}"
    if fake.sizes.keys() != real.sizes.keys():
        yield (
            f"image sizes differ: samples {_counts(fake.sizes)}, reference {_counts(real.sizes)}; "
            "resizing alone moves FID, so bring both to one size in one way"
        )
    lossy = {name: survey.formats["JPEG"] / len(survey.digests) for name, survey in (("f", fake), ("r", real))}
    if abs(lossy["f"] - lossy["r"]) > 0.5:
        which = ("samples", "reference") if lossy["f"] > lossy["r"] else ("reference", "samples")
        yield (
            f"the {which[0]} are JPEG and the {which[1]} are not: compression alone moves FID; "
            "save generated images as PNG and use the original reference files"
        )


def _training_set(fake: Survey, real: Survey | None, train: Survey) -> Iterator[str]:
    learnt = {*map(bytes, train.digests)}
    if copies := sum(bytes(digest) in learnt for digest in fake.digests):
        yield f"{copies} of the {len(fake.digests)} samples are training images, pixel for pixel"
    if real is not None and (shared := sum(bytes(digest) in learnt for digest in real.digests)):
        n = len(real.digests)
        which = "the reference is" if shared == n == len(train.digests) else f"{shared} of the {n} reference images are"
        yield (
            f"{which} in the training set: copies of those raise every score, and the verdict on memorisation needs "
            "real images that the model was not trained on"
        )
    if train.skipped:
        yield f"{len(train.skipped)} training image(s) could not be read and were left out: {_some(train.skipped)}"


def _counts(sizes: Mapping[str, int]) -> str:
    common = sorted(sizes, key=lambda size: -sizes[size])
    return common[0] if len(common) == 1 else f"{common[0]} and {len(common) - 1} more"


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
