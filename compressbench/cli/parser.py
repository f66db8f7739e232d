"""How the verbs read their arguments, and what prints their tables. Cheap to import."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from rich.console import Console

FORMATS = ("rich", "markdown", "csv", "html")
"""How tables are printed; the first one if nothing is said."""
WIDTH = 200
"""Columns of a table that goes to a file or a pipe."""


def verb_parser(verb: str, description: str) -> ArgumentParser:
    """Return the parser of a verb's arguments, which explains itself."""
    from argparse import ArgumentParser

    return ArgumentParser(prog=f"compressbench {verb}", description=description)


def console() -> Console:
    """Return what prints tables: as wide as the terminal, or wide enough for all columns where there is none."""
    from rich.console import Console

    found = Console()
    return found if found.is_terminal else Console(width=WIDTH)


def put(made: object) -> None:
    """Print what a report is made of: text as it is, a table on the console."""
    if isinstance(made, str):
        print(made, end="")
    else:
        console().print(made)
