"""`compressbench sweep`: the sweeps that were started, going on with one, ending one, its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compressbench.cli.parser import put, verb_parser
from compressbench.core.errors import PlanError
from compressbench.core.paths import outputs_folder

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence
    from pathlib import Path

    from compressbench.core.process import Process

WHAT = ("list", "status", "resume", "cancel", "report")
EPILOG = """\
NAME is the id of a sweep, the name it was given (`run -m ... sweep.name=NAME`), or how its id begins.

  compressbench sweep list
  compressbench sweep status NAME --only failed        why points failed
  compressbench sweep resume NAME                      what is missing; what is finished is not computed again
  compressbench sweep resume NAME launcher=local       and started in another way
  compressbench sweep cancel NAME                      end its processes on this machine
  compressbench sweep report NAME --html answer.html   as `compressbench report NAME`
"""


def sweep(words: list[str]) -> int:
    """`compressbench sweep [list|status|resume|cancel|report]`"""
    if words[:1] == ["report"]:
        from compressbench.cli.report import report

        return report(words[1:])
    given = _parsed(words)
    outputs = outputs_folder(given.outputs)
    if given.what == "resume":
        return _resume(given, outputs)
    from compressbench.app import sweeps

    if given.what == "cancel":
        _say(given.name, *sweeps.cancel(given.name, outputs))
    elif given.what == "status":
        put(sweeps.status(given.name, outputs, given.only))
    else:
        there = sweeps.listed(outputs)
        if there is None:
            print(f"there is no sweep below {outputs / 'sweeps'}; `compressbench run -m` starts one")
        else:
            put(there)
    return 0


def _parsed(words: list[str]) -> Namespace:
    from argparse import RawDescriptionHelpFormatter

    parser = verb_parser("sweep", "Say how far sweeps are, go on with one, end one, or show its answer.")
    parser.epilog, parser.formatter_class = EPILOG, RawDescriptionHelpFormatter
    parser.add_argument("what", choices=WHAT, nargs="?", default="list")
    parser.add_argument("name", nargs="?", metavar="NAME")
    parser.add_argument("overrides", nargs="*", help="of `resume`: how it is run now, e.g. launcher=local")
    parser.add_argument(
        "--only", action="append", metavar="STATE", default=[], help="of `status`: points in this state"
    )
    parser.add_argument("--outputs", default=None, help="folder of the runs (default: outputs)")
    given = parser.parse_intermixed_args(words)
    if given.name is None and given.what != "list":
        raise PlanError.of(f"sweep {given.what}", "of which one is not said; `compressbench sweep list` shows all")
    if (given.overrides and given.what != "resume") or (given.name and given.what == "list"):
        raise PlanError.of(f"sweep {given.what}", f"does not take {[given.name, *given.overrides][-1]!r}")
    if given.only and given.what != "status":
        raise PlanError.of("--only", "goes with `status`")
    return given


def _resume(given: Namespace, outputs: Path) -> int:
    from compressbench.app.sweeps import resume
    from compressbench.cli.run import finish_sweep, point, until_ended

    with until_ended():
        return finish_sweep(resume(given.name, outputs, given.overrides, point))


def _say(name: str, here: Sequence[Process], others: Sequence[Process]) -> None:
    """Say which processes were ended, and which are left to their own machine."""
    if here:
        print(f"ended {', '.join(process.words for process in here)}; what was finished stays")
    for process in others:
        how = f"scancel {process.job}" if process.job else f"compressbench sweep cancel {name}, there,"
        print(f"{process.words} is left: {how} ends it")
    if not here and not others:
        print("nothing of it is running")
    else:
        print(f"compressbench sweep resume {name}   goes on with what is missing")
