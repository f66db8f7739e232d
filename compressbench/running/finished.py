"""Finished runs, found by the composed configuration alone, before torch or a dataset is loaded.

A configuration that was run before leads to its record as long as the files its data came from have not been
touched since. Anything else takes the long way, which finds the same record by the plan's identity.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from pathlib import Path
from typing import Any

import compressbench
from compressbench.core.atomic import write_atomically
from compressbench.core.plugins import declared, in_use
from compressbench.core.record import RunRecord
from compressbench.core.sealed import file_digest, sealed, stamp, unsealed
from compressbench.packing.container import unseal
from compressbench.running.folders import RECORD, WEIGHTS


def config_id(config: dict[str, Any]) -> str:
    """Return the identity of a composed configuration under this version of the program and of the declared plugins,
    file by file: one that was changed since takes the long way, which knows the versions of techniques, data and
    metrics."""
    package = Path(compressbench.__file__).parent
    code = {str(file.relative_to(package)): stamp(file) for file in package.rglob("*.py")}
    code |= {str(file): stamp(file) for plugin in (*declared(), *in_use()) for file in plugin.files()}
    text = json.dumps([compressbench.__version__, code, config], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def remember(config: dict[str, Any], outputs: Path, folder: Path, sources: list[str]) -> None:
    """Note that this configuration leads to the run in `folder`, made from the files `sources`."""
    note = {
        "folder": str(folder.relative_to(outputs)),
        "record": _judged(RunRecord.read(folder / RECORD)),
        "sources": {source: stamp(Path(source)) for source in sources},
        "weights": stamp(folder / WEIGHTS),
    }
    write_atomically(_note(config, outputs), sealed(note))


def recall(config: dict[str, Any], outputs: Path) -> tuple[RunRecord, Path] | None:
    """Return the record a configuration led to and its folder, if neither it nor its data has been touched since."""
    try:
        note = _read(_note(config, outputs))
        if any(stamp(Path(source)) != state for source, state in note["sources"].items()):
            return None
        folder = outputs / note["folder"]
        record = RunRecord.read(folder / RECORD)
        if _judged(record) != note["record"]:
            return None  # another configuration has put its own names and limits to the same result since
        if note["weights"] != stamp(folder / WEIGHTS):
            _check_weights(record, folder)
            write_atomically(_note(config, outputs), sealed({**note, "weights": stamp(folder / WEIGHTS)}))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    measured = record.given is not None or not record.plan["model"]["weights"]  # older records lack what was given
    return (record, folder) if record.status == "finished" and measured else None


def whole_record(folder: Path) -> RunRecord | None:
    """Return the record of the finished run in a folder. None if there is none, and, after a warning, if it or the
    weights are damaged."""
    try:
        record = RunRecord.read(folder / RECORD)
        if record.status != "finished":
            return None
        _check_weights(record, folder)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        warnings.warn(f"the finished run in {folder} cannot be used ({error}); it is carried out again", stacklevel=2)
        return None
    return record


def _check_weights(record: RunRecord, folder: Path) -> None:
    """Raise ValueError unless the file of weights is the one the record was written with; OSError if it is not there.

    Records of older versions say nothing of it: then the file's own checksum must do.
    """
    if WEIGHTS not in record.digests:
        unseal((folder / WEIGHTS).read_bytes())
    elif record.digests[WEIGHTS] != file_digest(folder / WEIGHTS):
        raise ValueError(f"{WEIGHTS} is damaged")


def _read(note: Path) -> dict[str, Any]:
    """Return what is noted. ValueError, after a warning, if the note is damaged; OSError if there is none."""
    try:
        return unsealed(note.read_bytes())
    except ValueError as error:
        warnings.warn(f"the note {note} cannot be used ({error}); it is made again", stacklevel=3)
        raise


def _note(config: dict[str, Any], outputs: Path) -> Path:
    return outputs / "cache" / "finished" / f"{config_id(config)}.json"


def _judged(record: RunRecord) -> str:
    """Return the identity of what a configuration adds to a result without changing it."""
    text = json.dumps([record.protocol, record.plan, record.reference, record.missed], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
