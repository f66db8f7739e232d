"""Process: one as it notes itself in a file, so that others see whether it still lives, and can end it."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from compressbench.core.temporary import alive, machine

JOB = "SLURM_JOB_ID"
"""Environment variable with the number of the queue's job that a process belongs to."""
LOOK_EVERY_S = 0.05


@dataclass(frozen=True)
class Process:
    """A process. machine: digits that tell machines apart, of the one it runs on, which people call `host`.

    born: when it was started, as the kernel counts, so that a later one of the same number is not taken for it; empty
    where the kernel does not say. job: its job in a queue, if it is one.
    """

    machine: str
    host: str
    number: int
    born: str = ""
    job: str = ""

    @classmethod
    def current(cls) -> Process:
        """Return this process."""
        host, number = os.uname().nodename, os.getpid()
        return cls(machine(), host, number, _born(number), os.environ.get(JOB, ""))

    @property
    def here(self) -> bool:
        """Whether it is, or was, one of this machine."""
        return self.machine == machine()

    @property
    def lives(self) -> bool | None:
        """Whether it still runs; None for one of another machine, which cannot be seen from here."""
        return alive(self.number) and _born(self.number) == self.born if self.here else None

    @property
    def words(self) -> str:
        """What people call it: `process 123`, `process 123 on node7 (job 42)`."""
        where = "" if self.here else f" on {self.host}"
        return f"process {self.number}{where}" + (f" (job {self.job})" if self.job else "")

    def end(self, grace_s: float) -> bool:
        """End it: by SIGTERM, after `grace_s` seconds by SIGKILL. Return whether it lived. OSError if it is not ours
        to end."""
        if not self.lives:
            return False
        for number, limit_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 5.0)):
            with suppress(ProcessLookupError):
                os.kill(self.number, number)
            end = time.monotonic() + limit_s
            while self.lives and time.monotonic() < end:
                time.sleep(LOOK_EVERY_S)
            if not self.lives:
                break
        return True


def _born(number: int) -> str:
    """Return when a process was started, in ticks since the machine was; empty for one that has ended: what its parent
    has not asked about yet (a zombie) counts as ended."""
    try:
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]
