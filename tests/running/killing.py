"""Run by `test_killed`: disturbs a tiny run at every file it writes, and starts it again. One line of JSON each time.

Every run is a fork of this process, which has imported all that takes long. Words: the folder to work in, what
disturbs, at every how manieth file; or `read-only`, for the cache.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from compressbench.cli.main import main
from compressbench.core.temporary import NAMED
from tests.running.damages import TINY, figures, stored

KILLS = ("while", "before", "after")
"""Killed while a file is written, before it is renamed, and after."""
DISTURBANCES = (*KILLS, "full", "clock")
"""full: the disk is, from that file on. clock: killed after it, and by then the clock has gone back ten days."""
JUMP_S = 864_000


def disturbed(what: str, number: int) -> None:
    """Have this process killed, or its disk full, at the number-th file it writes."""
    fsync, replace, written = os.fsync, os.replace, [0]

    def counting_fsync(descriptor: int) -> None:
        written[0] += 1
        if written[0] == number and what == "while":
            os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        if written[0] >= number and what == "full":
            os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    def deadly_replace(source: Any, target: Any) -> None:
        if written[0] == number and what == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)
        if written[0] == number and what in ("after", "clock"):
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


def computed(outputs: Path) -> dict[str, float]:
    """Return how long each stored stage took to compute, to the millisecond: another figure is another computation."""
    return {path.parent.name: json.loads(path.read_text())["seconds"] for path in outputs.glob("cache/stages/*/*.json")}


def set_clock_back(outputs: Path) -> None:
    """Let all files be of a time to come, as they are after the clock went back."""
    for path in outputs.rglob("*"):
        os.utime(path, (time.time() + JUMP_S,) * 2)


def after_failing(outputs: Path, said: str) -> list[str]:
    """Return what is wrong after a run that could not write: it must say so in a line, and leave no temporary file."""
    bad = [] if said.startswith("error: cannot write") and os.strerror(errno.ENOSPC) in said else [said]
    bad += [] if said.count("\n") == 1 else ["not one line"]
    return bad + [path.name for path in outputs.rglob("*") if NAMED.fullmatch(path.name)]


def read_only(folder: Path) -> None:
    """Have every change below a folder fail, for this process, whoever it belongs to."""

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        changes = event in (
            "os.mkdir",
            "os.remove",
            "os.rename",
            "os.rmdir",
            "os.truncate",
            "os.utime",
            "shutil.rmtree",
        )
        changes |= event == "open" and bool(arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        if changes and str(arguments[0]).startswith(str(folder)):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(arguments[0]))

    sys.addaudithook(refuse)


def with_a_read_only_cache(folder: Path) -> None:
    import compressbench.planning.build
    import compressbench.running.dry_run  # noqa: F401

    outputs, cannot = folder / "disturbed", partial(read_only, folder / "disturbed" / "cache")
    started, said = forked(outputs, cannot)
    bad = [] if started == 1 and os.strerror(errno.EROFS) in said and said.count("\n") == 1 else [f"{started}: {said}"]
    bad += [f"{path} was written" for path in outputs.glob("cache/*")]
    first = forked(outputs, lambda: None)
    files, done = stored(outputs), computed(outputs)
    again = forked(outputs, cannot)
    bad += [f"{how}" for how in (first, again) if how != (0, "")]
    damaged = next(outputs.glob("cache/stages/*/model.cbp"))
    damaged.write_bytes(damaged.read_bytes()[:-1])
    next(outputs.rglob("record.json")).unlink()
    started, said = forked(outputs, cannot)
    one_error = said.count("error: ") == 1 and "Traceback" not in said and os.strerror(errno.EROFS) in said
    bad += [] if started == 1 and one_error else [f"damaged: {started}: {said}"]
    mended, said = forked(outputs, lambda: None)
    bad += [] if mended == 0 and said.count("cannot be used") == 1 else [f"mended: {mended}: {said}"]
    anew = [stage for stage, took in done.items() if computed(outputs)[stage] != took]
    bad += [] if anew == [damaged.parent.name] else [f"computed again: {anew}"]
    bad += sorted(files ^ stored(outputs))
    print(json.dumps({"what": "read-only", "bad": bad}))


def disturb_everywhere(folder: Path, what: str, step: int) -> None:
    import compressbench.planning.build
    import compressbench.running.dry_run  # noqa: F401

    assert forked(folder / "undisturbed", lambda: None) == (0, "")
    wanted_figures, wanted_files = figures(folder / "undisturbed"), stored(folder / "undisturbed")
    number, outputs = 1, folder / "disturbed"
    while True:
        ended, said = forked(outputs, partial(disturbed, what, number))
        if ended == 0:
            break
        bad = after_failing(outputs, said) if what == "full" else []
        bad += [] if ended == (1 if what == "full" else -signal.SIGKILL) else [f"ended with {ended}"]
        done = computed(outputs)
        if what == "clock":
            set_clock_back(outputs)
        again, said = forked(outputs, lambda: None)
        bad += [f"ended with {again}"] if again else []
        bad += [said] if said else []
        bad += [f"{stage} was computed again" for stage, took in done.items() if computed(outputs)[stage] != took]
        bad += ["other figures"] if figures(outputs) != wanted_figures else []
        bad += sorted(wanted_files ^ stored(outputs))
        print(json.dumps({"what": what, "number": number, "bad": bad}), flush=True)
        shutil.rmtree(outputs)
        number += step


if __name__ == "__main__":
    if sys.argv[2] == "read-only":
        with_a_read_only_cache(Path(sys.argv[1]))
    else:
        disturb_everywhere(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
