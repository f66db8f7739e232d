"""Send what MLflow does not have yet: after an evening without the server, or to another store."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from compressbench.core.record import RunRecord
from compressbench.tracking import journal
from compressbench.tracking.send import deliver_record, reason
from compressbench.tracking.store import Store, forget
from compressbench.tracking.sweep import pending_sweeps, resend_sweep

PATIENCE = 10
"""Nobody's run waits for this one, so a run's deadline is so many times longer."""
FAILURES_IN_A_ROW = 3


def sync(outputs: Path, store: Store) -> tuple[int, int]:
    """Send every record, then every sweep, that `store` lacks; return how many were sent and are still missing.

    What cannot be sent is named on stderr. After a time-out, or three failures in a row, it stops: the store
    is down.
    """
    patient = replace(store, deadline_s=store.deadline_s * PATIENCE)
    forget(store)
    work = [*journal.pending(outputs, store.name), *pending_sweeps(outputs, store.name)]
    sent = failures = 0
    for path in work:
        try:
            if path.name == "record.json":
                deliver_record(RunRecord.read(path), path.parent, patient)
            else:
                resend_sweep(path, outputs, patient)
            sent, failures = sent + 1, 0
        except Exception as error:  # one that cannot be sent must not hold up the others
            print(f"tracking: {path} was not sent to {store.name}: {reason(error)}", file=sys.stderr)
            failures += 1
            if isinstance(error, TimeoutError) or failures == FAILURES_IN_A_ROW:
                break
    return sent, len(work) - sent
