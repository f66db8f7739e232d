"""A process ends with its parent, if that announced itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

CHILD = "import time; from compressbench.core.parent import {0}; {1}; print('up', flush=True); time.sleep(60)"
PARENT = """
import os, subprocess, sys, time
from compressbench.core import parent
if len(sys.argv) > 2: parent.announce()
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""


def seconds_outlived(child: str, *announced: str) -> float:
    """Return how long a child lives after its parent was killed; 3 if it still does then."""
    process = subprocess.Popen([sys.executable, "-c", PARENT, child, *announced], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    number = int(process.stdout.readline())
    process.kill()
    process.wait()
    start = time.monotonic()
    while time.monotonic() - start < 3 and _lives(number):
        time.sleep(0.05)
    outlived = time.monotonic() - start
    if _lives(number):
        os.kill(number, signal.SIGKILL)
    return outlived


def _lives(number: int) -> bool:
    try:
        with open(f"/proc/{number}/stat") as file:
            return file.read().split()[2] != "Z"  # one that nobody has reaped has ended
    except OSError:
        return False


def test_a_worker_ends_with_the_command_that_started_it() -> None:
    assert seconds_outlived(CHILD.format("end_with_announced", "end_with_announced()"), "announced") < 2.5


def test_a_command_does_not_end_with_the_shell_that_started_it() -> None:
    assert seconds_outlived(CHILD.format("end_with_announced", "end_with_announced()")) >= 3


def test_a_courier_ends_with_its_run_after_some_grace() -> None:
    assert 0.8 < seconds_outlived(CHILD.format("end_with", "import os; end_with(os.getppid(), 1.0)")) < 2.9
