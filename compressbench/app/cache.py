"""What takes room in the caches, and what of it can go."""

from compressbench.running.room import Entry, entries, prune

__all__ = ["Entry", "entries", "prune"]
