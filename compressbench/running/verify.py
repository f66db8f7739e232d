"""Reading all that lies in the caches again: what is damaged, before anybody needs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import safetensors

from compressbench.core.context import Progress
from compressbench.core.sealed import file_digest, unsealed
from compressbench.packing import packed_file
from compressbench.packing.needs import missing
from compressbench.running.cache import StageCache
from compressbench.running.room import FINISHED, KEPT_BY_AGE, Entry, entries, named_so, removed

UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, safetensors.SafetensorError)


@dataclass(frozen=True)
class Checked:
    """An entry that was read. damage: what is wrong with it, in words. undecoded: why its network was not decoded,
    which is no damage. removed: it is gone."""

    entry: Entry
    damage: str = ""
    undecoded: str = ""
    removed: bool = False


def verify(outputs: Path, names: Sequence[str], remove: bool, progress: Progress) -> list[Checked]:
    """Read every entry of the caches again and return what was found; unfinished work is left out.

    Of a stage: what is known of it, the digest of each file, whether it was stored under this identity, whether its
    network decodes and keeps what was promised. Of a note and of decoded images: the digest. names: only stages, as
    `room.named_so` has it. remove: what is damaged, unless a living run relies on it.
    """
    found = entries(outputs)
    if names:
        found = named_so([entry for entry in found if entry.is_stage], names)
    found = [entry for entry in found if entry.kind in ("stages", FINISHED) or _is_pixels(entry)]
    checked = []
    with progress.task("verify", len(found)) as advance:
        for entry in found:
            one = _stage(entry) if entry.is_stage else _file(entry)
            if one.damage and not entry.path.exists():  # somebody has removed it meanwhile
                continue
            gone = bool(one.damage) and remove and not entry.now and removed(entry)
            checked.append(Checked(entry, one.damage, one.undecoded, gone))
            advance(1)
    return checked


def _is_pixels(entry: Entry) -> bool:
    return entry.kind == KEPT_BY_AGE and entry.path.suffix == ".npy"


def _stage(entry: Entry) -> Checked:
    cache, stage_id = StageCache(entry.path.parent), entry.path.name
    try:
        result = cache.read(stage_id)
        if absent := missing(packed_file.content_of(cache.model_path(stage_id)).header):
            return Checked(entry, undecoded=f"it needs the plugin {', '.join(map(str, absent))}")
        broken = cache.load(stage_id, result).broken()
    except UNREADABLE as error:
        said = str(error) or type(error).__name__
        return Checked(entry, said.removeprefix(f"{entry.path}/"))
    return Checked(entry, f"it breaks what was promised: {'; '.join(map(str, broken))}" if broken else "")


def _file(entry: Entry) -> Checked:
    """Check a note against its own digest, and decoded images against the one in the note beside them."""
    try:
        if not _is_pixels(entry):
            unsealed(entry.path.read_bytes())
        elif unsealed(entry.path.with_suffix(".json").read_bytes())["sha256"] != file_digest(entry.path):
            return Checked(entry, "its digest is another one")
    except UNREADABLE as error:
        return Checked(entry, str(error) or type(error).__name__)
    return Checked(entry)
