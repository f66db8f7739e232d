"""`compressbench cache`: what takes room in the caches, and what of it can go."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from compressbench.cli.parser import console, verb_parser
from compressbench.core.paths import outputs_folder

if TYPE_CHECKING:
    from compressbench.app.cache import Entry

EPILOG = """\
`prune` always removes what killed processes left and checkpoints of finished stages. --unused: also stages that no
record below the outputs names. --older-than: also what was written so many days ago, named or not (with --unused,
only that of it). What goes is computed again when it is needed; records and packed files of runs stay, and so does
what a running command relies on.

  compressbench cache size
  compressbench cache prune --unused --older-than 30 --dry-run
"""


def cache(words: list[str]) -> int:
    """`compressbench cache size|prune`"""
    from argparse import RawDescriptionHelpFormatter

    parser = verb_parser("cache", "Say what takes room in outputs/cache and in the machine's cache, and remove of it.")
    parser.epilog, parser.formatter_class = EPILOG, RawDescriptionHelpFormatter
    parser.add_argument("what", choices=["size", "prune"], nargs="?", default="size")
    parser.add_argument("--outputs", default=None, help="folder of the runs (default: outputs)")
    parser.add_argument("--older-than", metavar="DAYS", type=_days, help="also what was written longer ago")
    parser.add_argument("--unused", action="store_true", help="also stages that no record names")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    given = parser.parse_args(words)
    if given.what == "size" and (given.older_than is not None or given.unused or given.dry_run):
        parser.error("--older-than, --unused and --dry-run go with `prune`")
    from compressbench.app.cache import entries, prune

    outputs = outputs_folder(given.outputs)
    if given.what == "size":
        _show(entries(outputs), outputs, "takes")
        return 0
    gone = prune(outputs, given.older_than, given.unused, given.dry_run)
    if gone:
        _show(gone, outputs, "would free" if given.dry_run else "freed")
    else:
        print("nothing to remove")
    return 0


def _days(text: str) -> float:
    from argparse import ArgumentTypeError

    try:
        days = float(text)
    except ValueError:
        days = -1.0
    if not 0 <= days < float("inf"):
        raise ArgumentTypeError(f"is {text!r}; allowed: days, 0 or more")
    return days


def _show(found: Sequence[Entry], outputs: Path, heading: str) -> None:
    """Print a line a kind, and the sum."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("kind")
    for name in ("number", heading, "no record names", "oldest"):
        table.add_column(name, justify="right")
    kinds = dict.fromkeys(entry.kind for entry in found)
    for name, chosen in [*((kind, [e for e in found if e.kind == kind]) for kind in kinds), ("all", list(found))]:
        unused = [entry for entry in chosen if entry.kind.endswith("stages") and not entry.used]
        age = max((entry.age_days for entry in chosen), default=0.0)
        sizes = [f"{sum(entry.size_bytes for entry in part):,} bytes" if part else "" for part in (chosen, unused)]
        table.add_row(name, f"{len(chosen):,}", *sizes, f"{age:.1f} days" if chosen else "")
    console().print(table)
    print(f"in {outputs} and the machine's cache")
