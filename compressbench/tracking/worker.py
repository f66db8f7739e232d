"""Sending from a process of its own: MLflow is imported there while the run computes here.

Importing MLflow and opening its database takes as long as importing torch twice. A thread would take turns with the
run; a process uses another core, and nothing that MLflow does can hold up or end a run.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from compressbench.core.record import RunRecord
from compressbench.tracking import journal
from compressbench.tracking.content import name_of
from compressbench.tracking.send import reason, said
from compressbench.tracking.store import OPENING_S, Store

SILENT_S = 3.0
"""Who waits longer than this is told what for."""
EXPERIMENT = "MLFLOW_EXPERIMENT_NAME"
"""What MLflow itself takes an experiment's name from; ours are named after tables."""
PIPE_BYTES = 1 << 20
"""Room for what is told while the process starts: hundreds of bytes an epoch."""
DELIVERY = "compressbench.tracking.delivery"


class Worker:
    """One process that tells one store of one run after the other: an observer while a run goes on, then its record.

    A run that was started and neither sent nor failed when we end, however we end, is marked as killed.
    """

    def __init__(self, store: Store, experiment: str):
        # In a session of its own, so that Ctrl-C is ours to handle; the end of our pipe is its sign to stop.
        self.process = subprocess.Popen(
            [sys.executable, "-m", DELIVERY],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            pipesize=PIPE_BYTES,
            start_new_session=True,
        )
        self.store, self.ready_by, self.ready, self.going = store, time.monotonic() + OPENING_S, False, False
        assert self.process.stdin is not None
        os.set_blocking(self.process.stdin.fileno(), False)
        self._tell(store=asdict(store), experiment=experiment)
        atexit.register(self.stop)

    def started(self, record: RunRecord, folder: Path) -> None:
        self.going = True
        self._tell(started=record.to_json(), folder=str(folder))

    def reached(self, stage: str, figures: dict[str, float]) -> None:
        self._tell(reached=stage, figures=figures, when=round(time.time() * 1000))

    def failed(self, error: str) -> None:
        """Have the run that goes on marked as failed, without a record."""
        self.going = False
        self._tell(failed=error)

    def send(self, record: RunRecord, folder: Path) -> str | None:
        """Have the record in `folder` sent, and return the run's id; None, after one line on stderr, if that failed.

        It is waited for as long as the store may take to open, or a delivery twice (one of the run's curve may be
        under way); who takes longer is ended.
        """
        self.going = False
        journal.intend(folder, self.store.name)
        self._tell(folder=str(folder))
        try:
            if not self.ready:
                self.ready = self._answer(max(self.ready_by - time.monotonic(), self.store.deadline_s)) == "ready"
            answer: str | None = self._answer(2 * self.store.deadline_s)
        except (OSError, ValueError) as error:
            self.stop()
            said(name_of(record), reason(error), self.store)
            return None
        return answer

    def stop(self) -> None:
        """End the process at once; what it was told to send before has been sent. A run that goes on is marked first.

        That takes seconds at most, and nobody waits for it.
        """
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        if not self.going:
            self.process.kill()
            self.process.wait()

    def _answer(self, seconds: float) -> Any:
        """Return the next thing the process says. TimeoutError after so long; ValueError if it is gone."""
        assert self.process.stdout is not None
        patient = min(seconds, SILENT_S)
        if not select.select([self.process.stdout], [], [], patient)[0]:
            print(f"tracking: waiting for MLflow at {self.store.name}, {seconds:.0f} s at most", file=sys.stderr)
            if not select.select([self.process.stdout], [], [], seconds - patient)[0]:
                raise TimeoutError(f"no answer within {seconds:.0f} s")
        line = self.process.stdout.readline()
        if not line:
            raise ValueError("the process that sends has ended")
        return json.loads(line)

    def _tell(self, **message: Any) -> None:
        """Write a message into the pipe. One that is full has a reader that hangs: it is given up, not waited for."""
        assert self.process.stdin is not None
        data = json.dumps(message).encode() + b"\n"
        try:
            whole = os.write(self.process.stdin.fileno(), data) == len(data)
        except BlockingIOError:
            whole = False
        except (OSError, ValueError):  # it is gone; reading its answer says so
            return
        if not whole:
            self.going = False
            self.stop()


_ours: list[Worker] = []
"""The worker of this process, if it has one."""


def worker(store: Store, experiment: str) -> Worker:
    """Return this process's worker for a store; the runs of a sweep share it. `experiment`: of the first run."""
    if _ours and (_ours[0].store != store or _ours[0].process.poll() is not None):
        _ours.pop().stop()
    if not _ours:
        if store.origin:
            print(f"tracking: runs go to {store.name} ({store.origin})", file=sys.stderr)
        if os.environ.get(EXPERIMENT):
            print(f"tracking: {EXPERIMENT} is not used; this experiment is called {experiment}", file=sys.stderr)
        _ours.append(Worker(store, experiment))
    return _ours[0]
