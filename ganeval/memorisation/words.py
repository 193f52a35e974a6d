"""The verdict in plain words, and what this many images could have shown."""

from __future__ import annotations

from typing import Any

from ganeval.memorisation.closest import RARE, detectable, needed
from ganeval.memorisation.report import Copies, Verdict
from ganeval.types import Estimate

FAR = 3.0
"""A C_T above this says that the fakes are further from the training images than held-out ones are."""


def reasons(
    verdict: Verdict, copies: Copies, n: int, overlap: float, identical: int, flipped: int, ct: Estimate | None
) -> tuple[str, ...]:  # fmt: skip
    """One sentence for each thing that was found; flipped: of the closer ones, those nearest to a mirror image."""
    said = [_closer(copies, n)]
    if flipped:
        said.append(f"{flipped} of these are nearest to the mirror image of a training image")
    if identical:
        or_mirrored = " or of a mirrored one" if flipped else ""
        said.append(f"{identical} fakes have the very features of a training image{or_mirrored}")
    if verdict == "copying":
        low, high = copies.interval
        said.append(f"about {copies.share:.1%} of the fakes are copies (95% interval {low:.1%} to {high:.1%})")
    elif verdict == "suspected":
        said.append("more fakes than held-out images are so close, but not so many more that they must be copies")
    elif verdict == "undetermined":
        said = [
            f"{overlap:.0%} of the reference's images are in the training set, so it does not show how close honest "
            "images come: give one that the model was not trained on, with --ref"
        ]
    elif ct is not None and ct.value > FAR:
        said.append("as a whole the fakes are further from the training images than held-out images are")
    return tuple(said)


def _closer(copies: Copies, n: int) -> str:
    return (
        f"{copies.n_fake / n:.1%} of the fakes ({copies.n_fake} of {n:,}) are closer to a training image than "
        f"{1 - RARE:.0%} of held-out images are, for their neighbourhood"
    )


def minimum_detectable(n: int, m: int, alpha: float) -> dict[str, Any]:
    """How many copies, nearer to their originals than any held-out image is to a training image, would be found."""
    least, share = needed(n, m, alpha), detectable(n, m, alpha)
    if share is None:
        text = f"with {n} fakes and {m} held-out images no copying can be seen: give more of both"
        return {"copies": None, "share": None, "text": text}
    text = (
        f"copies of {least} different training images would be seen, so {share:.1%} of copies 8 times in 10, "
        "where the features hardly differ between a copy and its original"
    )
    return {"copies": least, "share": share, "text": text}
