"""`compressbench list`: what there is to choose from."""

from __future__ import annotations

from collections.abc import Callable

from compressbench.planning import catalogue

KINDS: dict[str, Callable[[], list[catalogue.Entry]]] = {
    "recipes": catalogue.recipes,
    "techniques": catalogue.techniques,
    "models": catalogue.models,
    "datasets": catalogue.datasets,
    "measures": catalogue.measures,
}


def print_list(only: str | None) -> int:
    """Print one kind, or all of them, each entry with the first comment line of its file."""
    for kind, entries in KINDS.items():
        if only in (None, kind):
            found = entries()
            width = max((len(entry.name) for entry in found), default=0)
            if only is None:
                print(f"{kind}:")
            for entry in found:
                print(f"{'' if only else '  '}{entry.name:<{width}}  {entry.summary}")
    return 0
