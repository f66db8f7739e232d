"""Finished runs, found by the composed configuration alone, before torch or a dataset is loaded.

A configuration that was run before leads to its record as long as the files its data came from have not been
touched since. Anything else takes the long way, which finds the same record by the plan's identity.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import compressbench
from compressbench.core.atomic import write_atomically
from compressbench.core.record import RunRecord
from compressbench.running.folders import RECORD, WEIGHTS


def config_id(config: dict[str, Any]) -> str:
    """Return the identity of a composed configuration under this version of the program, file by file: one that was
    changed since takes the long way, which knows the versions of techniques, data and measures."""
    package = Path(compressbench.__file__).parent
    code = {str(file.relative_to(package)): _state(str(file)) for file in package.rglob("*.py")}
    text = json.dumps([compressbench.__version__, code, config], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def remember(config: dict[str, Any], outputs: Path, folder: Path, sources: list[str]) -> None:
    """Note that this configuration leads to the run in `folder`, made from the files `sources`."""
    note = {
        "folder": str(folder.relative_to(outputs)),
        "record": _judged(RunRecord.read(folder / RECORD)),
        "sources": {source: _state(source) for source in sources},
    }
    write_atomically(_note(config, outputs), json.dumps(note))


def recall(config: dict[str, Any], outputs: Path) -> tuple[RunRecord, Path] | None:
    """Return the record a configuration led to and its folder, if its data has not been touched since."""
    try:
        note = json.loads(_note(config, outputs).read_text())
        if any(_state(source) != state for source, state in note["sources"].items()):
            return None
        folder = outputs / note["folder"]
        record = RunRecord.read(folder / RECORD)
        if _judged(record) != note["record"]:
            return None  # another configuration has put its own names and limits to the same result since
    except (OSError, ValueError, KeyError, TypeError):
        return None
    measured = record.given is not None or not record.plan["model"]["weights"]  # older records lack what was given
    whole = record.status == "finished" and measured and (folder / WEIGHTS).exists()
    return (record, folder) if whole else None


def _note(config: dict[str, Any], outputs: Path) -> Path:
    return outputs / "cache" / "finished" / f"{config_id(config)}.json"


def _judged(record: RunRecord) -> str:
    """Return the identity of what a configuration adds to a result without changing it."""
    text = json.dumps([record.protocol, record.plan, record.reference, record.missed], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _state(source: str) -> list[int]:
    """Return what changes when a file, or the list of names in a folder, changes."""
    status = Path(source).stat()
    return [status.st_size, status.st_mtime_ns]
