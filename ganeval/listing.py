"""What `ganeval list` and `ganeval weights list` print. Imports neither torch nor pandas."""

from __future__ import annotations

from ganeval.columns import listing
from ganeval.datasets import DATASETS
from ganeval.registry import BASELINES, BEST, EXTRACTORS, METRICS, load_plugins

METRICS_NOTE = """\
needs: besides features, logits of the extractor, --ref, --train; (train): takes
the training set in place of the reference where one is given. Titles follow the
features: FID is FD on all but Inception's. Options of each: docs/metrics.md"""


def metrics() -> str:
    """Name, title, direction, needs and paper of every metric."""
    load_plugins()
    body = []
    for metric in METRICS.values():
        needs = ["logits"] if metric.on == "logits" else []
        needs += ["ref"] if metric.reference else []
        needs += ["train"] if metric.train == "needed" else []
        said = ", ".join(needs) + (" (train)" if metric.train == "instead" else "")
        body.append((metric.name, metric.title, BEST[metric.better], said or "-", metric.paper))
    return f"{listing(('metric', 'title', 'best', 'needs', 'paper'), body)}\n\n{METRICS_NOTE}"


def extractors() -> str:
    """Name, pip extra and summary of every extractor."""
    load_plugins()
    body = [
        (spec.name, spec.summary + (f" (pip install 'ganeval[{spec.extra}]')" if spec.extra else ""))
        for spec in EXTRACTORS.values()
    ]
    return listing(("extractor", "what it is"), [*body, ("module:attribute", "your own, imported from any module")])


def models() -> str:
    """Name, kind, title and paper of every reference model."""
    load_plugins()
    body = [
        (row.name, row.title + (", needs labels" if row.labels and row.kind == "gan" else ""), row.kind, row.paper)
        for row in BASELINES.values()
    ]
    return f"{listing(('model', 'what it is', 'kind', 'paper'), body)}\n\nTrain one: ganeval train MODEL --data DATA"


def datasets() -> str:
    """Name, splits, extractor and size of every named data set."""
    body = [(name, ", ".join(info.splits), info.extractor or "-", str(info.classes)) for name, info in DATASETS.items()]
    table = listing(("data set", "splits", "own extractor", "classes"), body)
    return f"{table}\n\nName a split after a colon: mnist:test.\nThe files lie where --data-root or GANEVAL_DATA says."


def weights() -> str:
    """The known weights and whether they are here."""
    from ganeval.weights import list_weights

    return listing(("weights", "here"), [(row.name, row.status) for row in list_weights()])
