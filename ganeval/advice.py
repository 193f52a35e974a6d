"""The warnings that save a user's paper: what about these two sets makes a number untrustworthy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ganeval.evaluate import Scored
from ganeval.registry import Metric
from ganeval.types import Features, Moments, Survey

UNEQUAL = 0.05
"""Numbers of images that differ by this share move the best value of 1-NN accuracy visibly."""


def advise(
    fake: Features, real: Features | Moments | None, scored: Mapping[str, Scored], title: Callable[[Metric], str], *,
    verified: bool, train: Features | None = None,
) -> Iterator[str]:  # fmt: skip
    """One line for each thing that a reader of these numbers should know, the gravest first."""
    if train is not None and train.survey and fake.survey:
        yield from _training_set(fake.survey, real.survey if isinstance(real, Features) else None, train.survey)
    yield from _sample_size(fake, real, scored, title)
    yield from (
        f"{title(line.metric)}: {line.estimate.details['warning']}"
        for line in scored.values()
        if "warning" in line.estimate.details
    )
    yield from (
        f"{title(line.metric)}: the reference was taken for the training set; if it is not, no copy was to be seen: "
        "give the training set with --train"
        for line in scored.values()
        if line.metric.train == "instead" and train is None
    )
    if not verified:
        yield "the weights are not known to be the published ones: these numbers are not comparable with published ones"
    yield from of_images(fake, real)


def of_images(fake: Features, real: Features | Moments | None) -> Iterator[str]:
    """What the images of both sets look like: copies, sizes, compression, and those that could not be read."""
    if fake.survey:
        yield from _samples(fake.survey)
    if isinstance(real, Features) and real.survey:
        if real.survey.skipped:
            yield left_out(real.survey, "reference image(s)")
        if fake.survey:
            yield from _two_sets(fake.survey, real.survey)


def _sample_size(
    fake: Features, real: Features | Moments | None, scored: Mapping[str, Scored], title: Callable[[Metric], str]
) -> Iterator[str]:
    if real is None:
        return
    names = {name: title(line.metric) for name, line in scored.items()}
    if "fid_debiased" in scored and not scored["fid_debiased"].estimate.interval:
        why = scored["fid_debiased"].estimate.details["no_interval"]
        yield f"{names['fid_debiased']}: no interval, and a doubtful value: {why}"
    nearest = next((line.estimate.n_real for name, line in scored.items() if name.startswith("one_nn")), None)
    if nearest and abs(nearest - len(fake)) > UNEQUAL * nearest:
        yield (
            f"unequal n: {len(fake)} samples against {nearest} reference images; 1-NN accuracy is then best elsewhere "
            f"than at 0.5: --n {min(nearest, len(fake))} makes both sets equally large"
        )
    if "fid" not in scored:
        return
    # Of a statistics file with features, metrics read all its images by the moments, or the rows that --n drew.
    n_real = scored["fid"].estimate.n_real
    dim = fake.pooled.shape[1]
    small = min(len(fake), n_real or len(fake))
    if small < dim:
        trusted = [names[m] for m in ("fid_debiased", "kid", "mmd") if m in scored and scored[m].estimate.interval]
        instead = f"; trust {' and '.join(trusted)} with their intervals instead" if trusted else ""
        yield (
            f"{names['fid']} can't be trusted at n = {small} with {dim} features (it needs at least {dim}): "
            f"it is biased upwards{instead}"
        )
    if n_real and n_real != len(fake):
        yield (
            f"unequal n: {len(fake)} samples against {n_real} reference images; "
            f"{names['fid']} depends on n, so compare it only with numbers at the same two n"
        )


def _samples(survey: Survey) -> Iterator[str]:
    n = len(survey.digests)
    if copies := n - len({*map(bytes, survey.digests)}):
        yield f"{copies} of the {n} samples are exact duplicates of another sample"
    if survey.skipped:
        yield left_out(survey, "sample(s)")


def left_out(survey: Survey, what: str) -> str:
    """Which images could not be read."""
    return f"{len(survey.skipped)} {what} could not be read and were left out: {_some(survey.skipped)}"


def _two_sets(fake: Survey, real: Survey) -> Iterator[str]:
    shared = len({*map(bytes, fake.digests)} & {*map(bytes, real.digests)})
    if shared:
        yield f"{shared} image(s) are in the samples and in the reference: copies make every score look better"
    yield from unlike(fake, real, ("the samples", "the reference"))


def unlike(one: Survey, other: Survey, names: tuple[str, str]) -> Iterator[str]:
    """How the files of two sets differ, in ways that move every distance."""
    if one.sizes.keys() != other.sizes.keys():
        yield (
            f"image sizes differ: {names[0]} {_counts(one.sizes)}, {names[1]} {_counts(other.sizes)}; "
            "resizing alone moves FID, so bring both to one size in one way"
        )
    # Of all that was read: the counts stay whole where some rows were drawn.
    shares = [survey.formats["JPEG"] / max(1, survey.formats.total()) for survey in (one, other)]
    lossy, plain = sorted(zip(shares, names, strict=True), reverse=True)
    if lossy[0] - plain[0] > 0.5:
        yield (
            f"{lossy[1]} are JPEG and {plain[1]} are not: compression alone moves FID; "
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
        yield left_out(train, "training image(s)")


def _counts(sizes: Mapping[str, int]) -> str:
    common = sorted(sizes, key=lambda size: -sizes[size])
    return common[0] if len(common) == 1 else f"{common[0]} and {len(common) - 1} more"


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
