"""A page of documentation as a story that is lived: its blocks are carried out in order, in the working folder.

```python is run, all blocks of a page in one namespace; a ```text block right behind it is what it prints. What stands
behind `$ ` in ```console is run, and what follows is what it prints. `...` stands for anything, and spaces count as
one. A block whose first line is a comment with the name of a file (`# nets.py`, `# recipes/mine.yaml: what it is`) is
written to that file instead. Other blocks are only read.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import re
import shlex
import subprocess
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from compressbench.cli.main import main

BLOCK = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"# ([\w./-]+\.(?:py|ya?ml|toml|txt))(?::.*)?$")
LIKE = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Block(NamedTuple):
    """A fenced block: its language, its text, and the line of the page it begins on."""

    language: str
    text: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        yield Block(found[1], found[2], text.count("\n", 0, found.start()) + 1)


def live(page: Path) -> int:
    """Carry a page out and return how many blocks were run. AssertionError, saying where, for anything unexpected."""
    namespace: dict[str, Any] = {"__name__": "page"}
    done, printed, told = 0, "", list(blocks(page))
    for block, before in zip(told, [None, *told], strict=False):
        where = f"{page.name}, line {block.line}"
        if named := FILE.match(block.text.partition("\n")[0]):
            Path(named[1]).parent.mkdir(parents=True, exist_ok=True)
            Path(named[1]).write_text(block.text, encoding="utf-8")
            importlib.invalidate_caches()
        elif block.language == "python":
            printed, done = run_python(block, namespace, where), done + 1
        elif block.language == "text" and before and before.language == "python":
            check(block.text, printed, where)
        elif block.language == "console":
            done += run_commands(block, where)
    return done


def run_python(block: Block, namespace: dict[str, Any], where: str) -> str:
    """Run a block of Python; return what it prints."""
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        try:
            exec(compile(block.text, where, "exec"), namespace)
        except Exception:
            raise AssertionError(f"{where}:\n{traceback.format_exc()}") from None
    return shown.getvalue()


def run_commands(block: Block, where: str) -> int:
    """Run the commands of a block; return how many there are. What follows one is what it prints, if anything does."""
    first, *commands = re.split(r"^\$ ", block.text, flags=re.MULTILINE)
    assert not first.strip(), f"{where}: begins with no command"
    for text in commands:
        command, _, wanted = text.partition("\n")
        printed = run_command(command)
        if wanted.strip():
            check(wanted, printed, f"{where}: {command}")
    return len(commands)


def run_command(command: str) -> str:
    """Return what a command prints; ours is run in this process, which has imported torch already."""
    words = shlex.split(command, comments=True)
    if words[0] != "compressbench":
        done = subprocess.run(["bash", "-ec", command], capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
        return done.stdout
    with contextlib.redirect_stdout(io.StringIO()) as shown, contextlib.redirect_stderr(shown):
        main(words[1:])
    return shown.getvalue()


def check(wanted: str, printed: str, where: str) -> None:
    """Raise AssertionError, with both, if something else was printed."""
    lines = [line.strip() for line in wanted.strip().splitlines()]
    found = [line.strip() for line in printed.strip().splitlines()]
    same = doctest.OutputChecker().check_output("\n".join(lines) + "\n", "\n".join(found) + "\n", LIKE)
    assert same, f"{where}: expected\n{wanted}\nbut it printed\n{printed}"
