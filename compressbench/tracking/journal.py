"""What has been sent where: `tracked.json` beside each record. The record is the truth, MLflow holds a copy."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from compressbench.core.atomic import write_atomically
from compressbench.core.identity import digest
from compressbench.core.record import RunRecord
from compressbench.core.sealed import sealed, unsealed

NAME = "tracked.json"


@dataclass(frozen=True)
class Entry:
    """One delivery: to which store, as which run of which experiment, and a digest of what was told.

    The digest is empty while the run goes on; without a `run_id` this is where it was to be sent.
    """

    uri: str
    experiment_id: str
    run_id: str
    content: str


def content_of(record: RunRecord) -> str:
    """Return what decides whether MLflow's copy is up to date: results, not when or how fast they came."""
    stages = [[stage.name, stage.stage_id, stage.metrics, stage.curve] for stage in record.networks]
    return digest([record.plan_id, record.status, record.error, stages, record.missed, record.sweeps])


def read(folder: Path) -> Entry | None:
    """Return what was noted beside the record in `folder`; None if nothing was, or if it cannot be read."""
    try:
        return Entry(**unsealed((folder / NAME).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def write(folder: Path, entry: Entry) -> None:
    """Note a delivery, atomically."""
    write_atomically(folder / NAME, sealed(asdict(entry), indent=1))


def intend(folder: Path, uri: str) -> None:
    """Note, before anything is sent, where what lies in `folder` is meant to go."""
    entry = read(folder)
    if entry is None or entry.uri != uri:
        write(folder, Entry(uri, "", "", ""))


def target(folder: Path, content: str, uri: str | None, otherwise: str) -> str | None:
    """Return the URI that lacks what lies in `folder`, None if nothing does.

    uri: the one that is asked about; None: where it was meant to go, or `otherwise` if nobody noted that.
    """
    entry = read(folder)
    wanted = uri or (entry.uri if entry else otherwise)
    return None if entry and (entry.uri, entry.content) == (wanted, content) else wanted


def pending(outputs: Path, uri: str | None, otherwise: str = "") -> list[tuple[str, Path]]:
    """Return the records that have not been sent, as they are now, and to which store each has not (see `target`).

    A file that is no record is left out: `compressbench report` complains about it.
    """
    missing = []
    for path in sorted((outputs / "runs").rglob("record.json")):
        try:
            wanted = content_of(RunRecord.read(path))
        except (ValueError, OSError):
            continue
        lacking = target(path.parent, wanted, uri, otherwise)
        if lacking is not None:
            missing.append((lacking, path))
    return missing
