"""Every technique with its paper, what it needs and the tables it stands in, and every family.

Classes are read as text (`ast`): importing them would import torch, and `compressbench list` answers at once.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import NamedTuple

from compressbench.core.plugins import plugin_of
from compressbench.planning import catalogue
from compressbench.planning.uses import tables_of_techniques

PAPER = re.compile(r'Source: (?P<paper>[^,;\d]+ \d{4}), "(?P<title>[^"]+)"')
"""How a docstring names the paper: `Source: Han et al. 2015, "Learning both Weights and Connections ..."`."""


class Row(NamedTuple):
    """A technique. paper: first author and year, empty if it follows none. needs: what the network must already be.

    tables: folders of recipes that have a stage with it. plugin: who brings it, empty if it is ours.
    """

    name: str
    paper: str
    title: str
    needs: tuple[str, ...]
    tables: tuple[str, ...]
    summary: str
    plugin: str

    @property
    def family(self) -> str:
        return self.name.rpartition("/")[0]

    @property
    def year(self) -> int:
        """Of the paper; later than any without one."""
        return int(self.paper[-4:] or 9999)


class Family(NamedTuple):
    """A family of techniques. about: the docstring of its folder; empty for a plugin's."""

    name: str
    about: str
    rows: list[Row]


def rows() -> list[Row]:
    """Return every technique, by family, then by the year of its paper. PlanError for a name that stands for two."""
    used = tables_of_techniques()
    found = [_row(entry, tuple(used.get(entry.name, ()))) for entry in catalogue.techniques()]
    return sorted(found, key=lambda row: (row.family, row.year, row.name))


def families() -> list[Family]:
    """Return every family with its techniques. PlanError as `rows`."""
    found: dict[str, list[Row]] = {}
    for row in rows():
        found.setdefault(row.family, []).append(row)
    return [Family(name, _about(name), below) for name, below in found.items()]


def paper_in(docstring: str) -> tuple[str, str]:
    """Return first author with year, and title, of the paper that a docstring names; both empty if it names none."""
    named = PAPER.search(" ".join(docstring.split()))
    return (named["paper"], named["title"]) if named else ("", "")


def _row(entry: catalogue.Entry, tables: tuple[str, ...]) -> Row:
    file = catalogue.group_file("technique", entry.name)
    assert file is not None
    written = re.search(r"^_target_:\s*(\S+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    body = _class(written[1]) if written else None
    paper, title = paper_in(ast.get_docstring(body) or "") if body else ("", "")
    needs = tuple(sorted(_needs(body))) if body else ()
    summary = entry.summary.replace(f"({paper}, ", "(").replace(f" ({paper})", "") if paper else entry.summary
    return Row(entry.name, paper, title, needs, tables, summary, entry.plugin)


def _class(dotted: str) -> ast.ClassDef | None:
    """Return a class as it is written; None if it does not stand in the file of its module."""
    module, _, name = dotted.rpartition(".")
    try:
        tree = ast.parse(_file(module).read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):  # said by whatever runs it
        return None
    return next((node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name), None)


def _file(module: str) -> Path:
    plugin = plugin_of(module)
    top, inside = (catalogue.PACKAGE, module.split(".")[1:])
    if plugin is not None:
        top, inside = plugin.path, module.removeprefix(plugin.module).split(".")[1:]
    path = top.joinpath(*inside)
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), path)


def _needs(body: ast.ClassDef) -> set[str]:
    """Return the words of `needs = frozenset({...})`; none where a class does not say."""
    for node in body.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(target, ast.Name) and target.id == "needs":
            words = (each.value for each in ast.walk(node) if isinstance(each, ast.Constant))
            return {word for word in words if isinstance(word, str)}
    return set()


def _about(family: str) -> str:
    """Return the docstring of the folder of a family of ours, on one line."""
    file = catalogue.PACKAGE / "techniques" / family / "__init__.py"
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) if file.is_file() else None
    return " ".join((text or "").split())
