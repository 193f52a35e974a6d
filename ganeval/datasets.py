"""The named data sets: their splits, classes, extractor, and where their files come from. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DatasetInfo:
    """A row of `ganeval list datasets`.

    loader: the class in torchvision.datasets, None for scikit-learn's embedded digits.
    url: where the files are had when `--data-root` does not hold them yet.
    """

    splits: tuple[str, ...]
    classes: int
    loader: str | None
    url: str
    extractor: str | None = None


DATASETS = {
    "digits": DatasetInfo(("all", "train", "test"), 10, None, "embedded in scikit-learn", "classifier:digits"),
    "mnist": DatasetInfo(
        ("train", "test"), 10, "MNIST", "https://ossci-datasets.s3.amazonaws.com/mnist/", "classifier:mnist"
    ),
    "fashion_mnist": DatasetInfo(
        ("train", "test"), 10, "FashionMNIST", "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
    ),
    "cifar10": DatasetInfo(("train", "test"), 10, "CIFAR10", "https://www.cs.toronto.edu/~kriz/cifar.html"),
    "cifar100": DatasetInfo(("train", "test"), 100, "CIFAR100", "https://www.cs.toronto.edu/~kriz/cifar.html"),
    "svhn": DatasetInfo(("train", "test"), 10, "SVHN", "http://ufldl.stanford.edu/housenumbers/"),
    "stl10": DatasetInfo(("train", "test"), 10, "STL10", "https://cs.stanford.edu/~acoates/stl10/"),
}
