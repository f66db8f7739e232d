"""What the tests of the commands share: a command that is refused, and a recipe of the user's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from compressbench.cli.main import main

Captured = pytest.CaptureFixture[str]


def refused(capsys: Captured, *words: str) -> str:
    """Return what a command that must be refused as bad input prints: one line, or one and a list of what is wrong; the
    lines of one fault are indented."""
    assert main(list(words)) == 2
    printed = capsys.readouterr()
    first, *others = printed.err.splitlines()
    assert first.startswith("error: ")
    assert all(line.startswith(("  - ", "    ")) for line in others)
    assert printed.out == "" or words[0] == "check"  # which shows what it would do all the same
    return printed.err


def recipe(text: str, name: str = "mine") -> str:
    """Write a recipe into the user's own folder and return the override that names it."""
    Path("recipes").mkdir(exist_ok=True)
    Path(f"recipes/{name}.yaml").write_text(f"# A recipe of the user's.\n{text}")
    return f"recipe={name}"
