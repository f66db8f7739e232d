"""Imports point one way. The table below is the architecture; the imports are read with `ast`."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "compressbench"

ARROWS = {
    "core": {"vision"},  # for plugins, which import torchvision by themselves
    "vision": set(),
    "codecs": set(),
    "layers": set(),
    "zoo": {"core", "vision"},  # core: the words for errors only
    "data": {"core", "vision"},
    "training": {"core"},
    "techniques": {"core", "layers"},
    "planning": {"core"},
    "tracking": {"core"},
    "reporting": {"core"},
    "packing": {"core", "codecs", "layers"},
    "export": {"core", "layers"},
    "metrics": {"core", "export"},
    "running": {"core", "training", "metrics", "packing", "zoo"},  # zoo: published weights
    "app": {"core", "planning", "running", "tracking", "reporting", "packing", "export", "data"},  # data: from pictures
    "testing": {"core", "data", "packing", "running"},  # a context: the task, packing and counting of a real one
    "cli": {"core", "app"},
    "__main__": {"cli"},
    "__init__": {"app"},
}
"""What each folder (or file beside them) may import from us."""

ONLY_IN = {
    "hydra": {"planning"},
    "omegaconf": {"planning", "tracking"},
    "mlflow": {"tracking"},
    "torchvision": {"vision"},
    "timm": {"zoo"},
    "transformers": {"zoo"},
    "torch_pruning": {"techniques"},
    "pandas": {"reporting", "core", "app"},  # core: RunRecord.to_frame; app: says that it returns one
    "constriction": {"codecs"},
    "onnx": {"export"},
    "onnxruntime": {"metrics"},
    "rich": {"app", "cli", "reporting", "running"},
}
"""Where a library may be imported."""

SOURCES = sorted(PACKAGE.rglob("*.py"))


def part_of(file: Path) -> str:
    """Return the folder a file belongs to, or its own name if it lies beside the folders."""
    relative = file.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


@functools.cache
def imported(file: Path) -> set[str]:
    """Return every dotted name a file imports, wherever in the file, for type checking too."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def arrows() -> dict[tuple[str, str], list[str]]:
    """Return the arrows there are between parts, with the files that draw them."""
    found: dict[tuple[str, str], list[str]] = {}
    for file in SOURCES:
        for name in imported(file):
            parts = name.split(".")
            if parts[0] == "compressbench" and len(parts) > 1 and parts[1] != part_of(file):
                found.setdefault((part_of(file), parts[1]), []).append(str(file.relative_to(PACKAGE)))
    return found


def test_every_folder_stands_in_the_table():
    folders = {part_of(file) for file in SOURCES}
    assert folders - ARROWS.keys() == set()


def test_only_the_arrows_of_the_table_are_drawn():
    wrong = {arrow: sorted(set(files)) for arrow, files in arrows().items() if arrow[1] not in ARROWS[arrow[0]]}
    assert wrong == {}


def test_every_arrow_of_the_table_is_drawn_by_some_file():
    table = {(part, target) for part, targets in ARROWS.items() for target in targets}
    assert table - arrows().keys() == set()


def test_the_table_has_no_cycle():
    left = {part: set(targets) for part, targets in ARROWS.items()}
    while left:
        free = {part for part, targets in left.items() if not targets & left.keys()}
        assert free, f"a cycle among {sorted(left)}"
        left = {part: targets for part, targets in left.items() if part not in free}


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_stays_in_its_folders(library):
    users = {part_of(file) for file in SOURCES if any(name.split(".")[0] == library for name in imported(file))}
    assert users - ONLY_IN[library] == set()


def test_families_of_techniques_do_not_know_each_other():
    for file in (PACKAGE / "techniques").rglob("*/*.py"):
        others = {
            name.split(".")[2]
            for name in imported(file)
            if name.startswith("compressbench.techniques.") and not name.split(".")[2].startswith("_")
        }
        assert others <= {file.parent.name}, file


def test_no_file_is_long_and_no_function():
    lengths = {str(file.relative_to(PACKAGE)): len(file.read_text().splitlines()) for file in SOURCES}
    assert {name: length for name, length in lengths.items() if length > 230} == {}
    functions = {
        f"{file.relative_to(PACKAGE)}: {node.name}": node.end_lineno - node.lineno + 1
        for file in SOURCES
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef)
    }
    assert {name: length for name, length in functions.items() if length > 46} == {}


def test_init_files_are_nearly_empty():
    """The package's own says what it offers, in a line."""
    long = [str(file) for file in SOURCES if file.name == "__init__.py" and len(file.read_text().splitlines()) > 6]
    assert long == []


def test_no_file_has_a_name_that_says_nothing():
    assert [file.name for file in SOURCES if file.stem in ("utils", "helpers", "common", "misc", "base")] == []
