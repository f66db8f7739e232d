"""Sending from a process of its own: MLflow is imported there while the run computes here.

Importing MLflow and opening its database takes as long as importing torch twice. A thread would take turns with the
run; a process uses another core, and nothing that MLflow does can hold up or end a run.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from compressbench.core.parent import end_with
from compressbench.core.record import RunRecord
from compressbench.tracking.content import experiment_of
from compressbench.tracking.quiet import settle
from compressbench.tracking.send import reason, said, send
from compressbench.tracking.store import Store, experiment_id

GRACE_S = 5.0
"""How long what is being sent when our parent is killed may still take."""


class Courier:
    """One process that sends one record after the other to one store. It ends with ours, however that ends."""

    def __init__(self, store: Store, table: str):
        command = [sys.executable, "-m", __name__]
        # In a session of its own, so that Ctrl-C is ours to handle; the end of our pipe is its sign to stop.
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        self.store = store
        self._tell({"store": asdict(store), "table": table})
        atexit.register(self.stop)

    def send(self, record: RunRecord, folder: Path) -> str | None:
        """Have the record in `folder` sent, and return the run's id; None, after one line on stderr, if that failed."""
        try:
            self._tell({"folder": str(folder)})
            assert self.process.stdout is not None
            answer: str | None = json.loads(self.process.stdout.readline())
        except (OSError, ValueError) as error:
            said(f"{record.row} seed {record.seed}", reason(error), self.store)
            return None
        return answer

    def stop(self) -> None:
        """End the process at once; what it was told to send before has been sent."""
        self.process.kill()
        self.process.wait()

    def _tell(self, message: dict[str, object]) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # then reading its answer says that it is gone
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()


_ours: list[Courier] = []
"""The courier of this process, if it has one."""


def courier(store: Store, table: str) -> Courier:
    """Return this process's courier for a store; the runs of a sweep share it. `table`: of the first run."""
    if _ours and (_ours[0].store != store or _ours[0].process.poll() is not None):
        _ours.pop().stop()
    if not _ours:
        _ours.append(Courier(store, table))
    return _ours[0]


def main() -> None:
    """Open the store, then send what standard input names, a folder a line, until it or our parent ends."""
    end_with(os.getppid(), GRACE_S)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
    opening = json.loads(sys.stdin.readline())
    store = Store(**opening["store"])
    with contextlib.suppress(Exception):  # it goes wrong again, and is said, when something is sent
        settle(store.timeout_s, store.retries)
        if store.database:
            experiment_id(store, experiment_of(opening["table"]))
    for line in sys.stdin:
        folder = Path(json.loads(line)["folder"])
        print(json.dumps(send(RunRecord.read(folder / "record.json"), folder, store)), file=answers, flush=True)


if __name__ == "__main__":
    main()
