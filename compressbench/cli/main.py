"""The verbs. Heavy imports stand inside each verb, so that `--help` answers at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

import compressbench
from compressbench.cli.cache import cache
from compressbench.cli.check import check
from compressbench.cli.completion import complete, completion
from compressbench.cli.listing import list_names
from compressbench.cli.packed import evaluate, export, inspect
from compressbench.cli.report import report
from compressbench.cli.run import run
from compressbench.cli.sweep import sweep
from compressbench.cli.tracking import sync, ui
from compressbench.core.errors import PlanError, RunError, lack_of_memory, suggestion

USAGE = """\
compressbench: a declarative experiment runner for model compression

  compressbench run recipe=quickstart                  run a recipe (no download, under 90 seconds)
  compressbench run -m recipe=R stages.prune.ratio=0.1,0.3,0.5    sweep over values
  compressbench sweep [list|status|resume|cancel|report]   how far sweeps are; go on with one, end one, its answer
  compressbench check [-m] recipe=R                    compose, check and predict, without training
  compressbench list [techniques|families|recipes|models|datasets|metrics|training|launchers|NAME]   what there is
  compressbench report [table5] [--format rich|markdown|csv|html]   all tables, or one: ours beside the published
  compressbench inspect FILE                           what a packed file spends its bytes on, tensor by tensor
  compressbench evaluate FILE [dataset=D]              measure a packed file again, beside what it notes
  compressbench export FILE --output model.onnx        a packed file as an ONNX model
  compressbench ui                                     the MLflow UI on what was run
  compressbench sync                                   send to MLflow what could not be sent
  compressbench cache [list|size|prune|verify]         what takes room in the caches, what can go, what is damaged
  compressbench completion                             print the line that turns on tab completion in bash

compressbench VERB --help says more, with an example.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb and return the exit code: 0 done, 1 a run failed, 2 bad input, 130 interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    # Threads that wait spin only briefly before they sleep. Beside another program, two that spin on are up to 40
    # times slower: they take turns with what they wait for. torch's library reads this once, when it is loaded.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    if not words or words[0] in ("-h", "--help", "help"):
        print(USAGE, end="")
        return 0
    if words[0] == "--version":
        print(f"compressbench {compressbench.__version__}")
        return 0
    verb = (lambda given: complete(given, list(VERBS))) if words[0] == "complete" else VERBS.get(words[0])
    try:
        if verb is None:
            raise PlanError.of("", f"{words[0]!r} is not a verb of compressbench; {suggestion(words[0], VERBS)}")
        return verb(words[1:])
    except PlanError as error:
        print(_listed(error), file=sys.stderr)
        return 2
    except RunError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from the last finished epoch", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        plain = error if isinstance(error, OSError) else lack_of_memory(error)
        if plain is None:
            raise
        print(f"error: {plain}", file=sys.stderr)
        return 1


def _listed(error: PlanError) -> str:
    if len(error.faults) == 1:
        return f"error: {error}"
    return "\n".join([f"error: {len(error.faults)} things are wrong", *(f"  - {fault}" for fault in error.faults)])


VERBS: dict[str, Callable[[list[str]], int]] = {
    "run": run,
    "sweep": sweep,
    "check": check,
    "list": list_names,
    "report": report,
    "inspect": inspect,
    "evaluate": evaluate,
    "export": export,
    "ui": ui,
    "sync": sync,
    "cache": cache,
    "completion": completion,
}
