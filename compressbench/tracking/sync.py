"""Send what MLflow does not have yet: after an evening without the server, or to another store."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from compressbench.core.errors import PlanError
from compressbench.core.record import RunRecord
from compressbench.tracking import journal
from compressbench.tracking.send import deliver_record, reason
from compressbench.tracking.store import Store, at, forget
from compressbench.tracking.sweep import pending_sweeps, resend_sweep

PATIENCE = 10
"""Nobody's run waits for this one, so a run's deadline is so many times longer."""
FAILURES_IN_A_ROW = 3


class Sent(NamedTuple):
    """What became of the runs and sweeps that one store lacked. where: its URI, as it may be shown."""

    where: str
    sent: int
    missing: int


def sync(outputs: Path, store: Store, everything: bool) -> list[Sent]:
    """Send every record, then every sweep, that is not where it is meant to be; return what became of them, by store.

    everything: to `store`, wherever it was meant to go; else to the store it was meant for when it was made, and to
    `store` if nobody noted one. What cannot be sent is named on stderr. After a time-out, or three failures in a
    row, a store counts as down, and nothing more is sent there.
    """
    asked = store.name if everything else None
    work = [*journal.pending(outputs, asked, store.name), *pending_sweeps(outputs, asked, store.name)]
    return [
        _deliver([path for uri, path in work if uri == where], outputs, where, store)
        for where in dict.fromkeys(uri for uri, _ in work)
    ]


def _deliver(paths: list[Path], outputs: Path, where: str, store: Store) -> Sent:
    """Send the records and sweeps at `paths` to the store at `where`, which is as patient as `store`."""
    try:
        found = store if where == store.name else at(outputs, where)
    except PlanError as error:
        print(f"tracking: {len(paths)} runs were not sent to {where}: {reason(error)}", file=sys.stderr)
        return Sent(where, 0, len(paths))
    patient = replace(found, timeout_s=store.timeout_s, retries=store.retries, deadline_s=store.deadline_s * PATIENCE)
    forget(patient)
    sent = failures = 0
    for path in paths:
        try:
            if path.name == "record.json":
                deliver_record(RunRecord.read(path), path.parent, patient)
            else:
                resend_sweep(path, outputs, patient)
            sent, failures = sent + 1, 0
        except Exception as error:  # one that cannot be sent must not hold up the others
            print(f"tracking: {path} was not sent to {where}: {reason(error)}", file=sys.stderr)
            failures += 1
            if isinstance(error, TimeoutError) or failures == FAILURES_IN_A_ROW:
                break
    return Sent(where, sent, len(paths) - sent)
