"""The architecture as a fact: who may import whom."""

from __future__ import annotations

import ast
from pathlib import Path

import ganeval

ROOT = Path(ganeval.__file__).parent

# A module may import from its own row and from the rows above it.
LAYERS = [
    {"errors", "files", "columns", "markup", "datasets", "allocator", "pages", "distributed"},
    {"types", "registry", "settings", "devices", "fp32"},
    {"numerics"},
    {"metrics", "extractors", "weights"},
    {"images", "features", "inference", "cache", "reference", "sides", "streaming", "precision"},
    {"collapse", "memorisation"},
    {"evaluate", "advice", "report", "classes", "judging", "scoring", "summarise", "leaderboard"},
    {"comparison"},
    {"listing", "doctor", "demo", "auditing", "integrations"},
    {"cli", "terminal", "__main__"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def imports(path: Path) -> set[str]:
    """The ganeval modules that a file imports, inside functions too, but not for type checkers alone."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "ganeval":
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {name.split(".")[1] for name in (a.name for a in node.names) if name.startswith("ganeval.")}
    return found - {"__version__"}


def modules() -> list[tuple[str, Path]]:
    return [(path.relative_to(ROOT).parts[0].removesuffix(".py"), path) for path in ROOT.rglob("*.py")]


def test_every_module_has_a_layer() -> None:
    assert {name for name, _ in modules()} - {"__init__"} == set(LEVEL)


def test_imports_point_down() -> None:
    upward = [
        f"{path.relative_to(ROOT)} imports {target}"
        for name, path in modules()
        if name != "__init__"
        for target in imports(path)
        if LEVEL[target] > LEVEL[name]
    ]
    assert upward == []


def test_metrics_know_tensors_only() -> None:
    allowed = {"errors", "types", "registry", "fp32", "numerics"}
    for name, path in modules():
        if name in ("metrics", "numerics"):
            assert imports(path) <= allowed | {name}, path


def test_the_baselines_come_in_by_entry_point_alone() -> None:
    assert not any("ganeval_baselines" in path.read_text() for _, path in modules())
