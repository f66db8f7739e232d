"""What "before compression" is. Plans and records, so tables, budgets and latencies too, all ask here."""

from __future__ import annotations

from collections.abc import Sequence

GIVEN = "given"
"""Name and kind of the network that weights were given for, measured before the first stage."""


def index_before(kinds: Sequence[str], given: bool) -> int | None:
    """Return which network is the one before compression, by the kinds of a stack's stages (`training/finetune`).

    0: the one after the first stage, if all that stage does is train. -1: the one whose weights were given (`given`).
    None: there is none, as where a network is pruned or made binary while it is first trained.
    """
    if kinds and kinds[0].startswith("training/"):
        return 0
    return -1 if given else None
