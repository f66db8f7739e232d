"""Ending with one's parent: a process whose parent was killed would work on for nobody."""

from __future__ import annotations

import os
import signal
import threading
import time

PARENT = "COMPRESSBENCH_PARENT"
"""Environment variable with the process id of the command whose launcher starts workers."""
LOOK_EVERY_S = 0.5


def announce() -> None:
    """Let the processes that this one starts know whom they work for."""
    os.environ[PARENT] = str(os.getpid())


def end_with_announced() -> None:
    """If this process was started by one that announced itself, end when that one does.

    Not so in the announcing process itself, whose own parent is a shell, or in a job that a queue started elsewhere.
    """
    if os.environ.get(PARENT) == str(os.getppid()):
        end_with(os.getppid())


def end_with(parent: int, grace_s: float = 0.0) -> None:
    """Kill this process at most `grace_s` and a moment after its parent has ended.

    The kernel's own signal for it is Linux's only, and comes when the thread ends that started the process.
    """
    name = f"ends with {parent}"
    if any(thread.name == name for thread in threading.enumerate()):
        return

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_EVERY_S)
        time.sleep(grace_s)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name=name, daemon=True).start()
