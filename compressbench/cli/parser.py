"""How the verbs read their arguments. Cheap to import."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser

FORMATS = ("rich", "markdown", "csv", "html")
"""How tables are printed; the first one if nothing is said."""


def verb_parser(verb: str, description: str) -> ArgumentParser:
    """Return the parser of a verb's arguments, which explains itself."""
    from argparse import ArgumentParser

    return ArgumentParser(prog=f"compressbench {verb}", description=description)
