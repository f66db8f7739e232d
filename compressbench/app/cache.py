"""What takes room in the caches, what of it can go, and whether it is whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from compressbench.running.room import Entry, entries, prune, stages_listed

if TYPE_CHECKING:
    from rich.console import Console

    from compressbench.running.verify import Checked as Checked

__all__ = ["Entry", "entries", "prune", "stages_listed", "verify"]


def verify(outputs: Path, names: Sequence[str], remove: bool, console: Console | None = None) -> list[Checked]:
    """Read what lies in the caches again, and return what was found; see `running.verify`. console: for progress."""
    from compressbench.running import verify as verifying
    from compressbench.running.progress import shown_on

    with shown_on(console, "") as progress:
        return verifying.verify(outputs, names, remove, progress)
