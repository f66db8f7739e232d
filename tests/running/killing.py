"""Run by `test_killed`: kills a tiny run at every file it writes, and carries each out again. One line of JSON a kill.

Every run is a fork of this process, which has imported all that takes long. Words: the folder to work in, the moment.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from compressbench.cli.main import main
from tests.running.damages import TINY, figures, stored

MOMENTS = ("while", "before", "after")
"""While a file is written, before it is renamed, and after."""


def deadly(moment: str, number: int) -> None:
    """Have this process killed at the number-th file it writes."""
    fsync, replace, written = os.fsync, os.replace, [0]

    def counting_fsync(descriptor: int) -> None:
        written[0] += 1
        if written[0] == number and moment == MOMENTS[0]:
            os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        fsync(descriptor)

    def deadly_replace(source: Any, target: Any) -> None:
        if written[0] == number and moment == MOMENTS[1]:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)
        if written[0] == number and moment == MOMENTS[2]:
            os.kill(os.getpid(), signal.SIGKILL)

    os.fsync, os.replace = counting_fsync, deadly_replace


def forked(outputs: Path, prepare: Callable[[], None]) -> tuple[int, str]:
    """Return how a run in a process of its own ended (below 0: the signal), and what it said on stderr."""
    said = outputs.with_suffix(".err")
    if not (child := os.fork()):
        with said.open("w") as file, contextlib.redirect_stderr(file), contextlib.redirect_stdout(io.StringIO()):
            prepare()
            code = main(["run", TINY, f"outputs={outputs}"])
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said.read_text()


def kill_everywhere(folder: Path, moment: str) -> None:
    import compressbench.planning.build
    import compressbench.running.dry_run  # noqa: F401

    assert forked(folder / "undisturbed", lambda: None) == (0, "")
    wanted_figures, wanted_files = figures(folder / "undisturbed"), stored(folder / "undisturbed")
    number, ended, outputs = 0, -signal.SIGKILL, folder / "killed"
    while ended == -signal.SIGKILL:
        number += 1
        ended, _ = forked(outputs, partial(deadly, moment, number))
        if ended == -signal.SIGKILL:
            again, said = forked(outputs, lambda: None)
            bad = [f"ended with {again}"] if again else []
            bad += [said] if said else []
            bad += ["other figures"] if figures(outputs) != wanted_figures else []
            bad += sorted(wanted_files ^ stored(outputs))
            print(json.dumps({"moment": moment, "number": number, "bad": bad}), flush=True)
        shutil.rmtree(outputs)


if __name__ == "__main__":
    kill_everywhere(Path(sys.argv[1]), sys.argv[2])
