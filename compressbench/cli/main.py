"""The verbs. Heavy imports stand inside each verb, so that `--help` answers at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import compressbench
from compressbench.cli.cache import cache
from compressbench.cli.packed import evaluate, export, inspect
from compressbench.cli.parser import FORMATS, verb_parser
from compressbench.core import parent
from compressbench.core.errors import PlanError, RunError, lack_of_memory, suggestion

if TYPE_CHECKING:
    from compressbench.tracking.store import Store

USAGE = """\
compressbench: a declarative experiment runner for model compression

  compressbench run recipe=quickstart                  run a recipe (no download, under 90 seconds)
  compressbench run -m recipe=R stages.prune.ratio=0.1,0.3,0.5    sweep over values
  compressbench check [-m] recipe=R                    compose, check and predict, without training
  compressbench list [recipes|techniques|models|datasets|metrics|training|NAME]   a name: its parameters, or its rows
  compressbench report [table5] [--format rich|markdown|csv|html]   all tables, or one: ours beside the published
  compressbench inspect FILE                           what a packed file spends its bytes on, tensor by tensor
  compressbench evaluate FILE [dataset=D]              measure a packed file again, beside what it notes
  compressbench export FILE --output model.onnx        a packed file as an ONNX model
  compressbench ui                                     the MLflow UI on what was run
  compressbench sync                                   send to MLflow what could not be sent
  compressbench cache [size|prune]                     what takes room in the caches, and what of it can go
  compressbench completion                             print the line that turns on tab completion in bash

compressbench VERB --help says more, with an example.
"""

RUN_HELP = """\
compressbench run [-m] recipe=NAME|FILE.yaml [overrides]

Carry out a recipe, given by its name or the path to its file: train, compress and measure, stage by stage.
Overrides are Hydra's: every parameter of a technique can be set (`compressbench list pruning/l1_norm` shows them),
a stage's technique swapped, a stage added (+stages.more={technique: ...}) or deleted (~stages.finetune). What was
finished before is not computed again; a killed run goes on from its last epoch.

  compressbench run recipe=quickstart
  compressbench run recipe=table5/mnist_l1norm_50 stages.prune.ratio=0.7 seed=1
  compressbench run recipe=table5/mnist_l1norm_50 training=reduced dataset.root=/data
  compressbench run -m recipe=table5/mnist_l1norm_50 stages.prune.ratio=0.1,0.3,0.5 seed=0,1,2
  compressbench run -m 'recipe=glob(table5/mnist_*)' hydra/launcher=joblib
  compressbench run recipe=table5/mnist_l1norm_50 debug=smoke      seconds, made-up data
  compressbench run recipe=quickstart --cfg job                    print the composed configuration

More keys: outputs=FOLDER device=auto|cpu|cuda threads=2 tracking=off tracking.uri=URI limits.steps=10
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
    verb = _complete if words[0] == "complete" else VERBS.get(words[0])
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


def _run(words: list[str]) -> int:
    if not words or {"-h", "--help"} & set(words):
        print(RUN_HELP, end="")
        return 0
    from compressbench.cli.job import job
    from compressbench.planning.launch import launch, parse_arguments

    given = parse_arguments(words)
    if given.shows or not given.multirun:
        return launch(words, job)
    from compressbench.cli.sweep import swept

    parent.announce()
    return swept(given.overrides, given.config_dir, lambda ended: launch(words, job, ended))


def _check(words: list[str]) -> int:
    what = "Compose, type and check a recipe, or every point of a sweep, and print what it will do, without training."
    parser = verb_parser("check", what)
    parser.epilog = (
        "examples: compressbench check recipe=table5/cifar10_l1norm_30 stages.prune.ratio=0.4; "
        "compressbench check -m recipe=quickstart stages.prune.ratio=0.1,0.3,0.5"
    )
    parser.add_argument("overrides", nargs="*", help="recipe=NAME or recipe=FILE.yaml, and Hydra overrides")
    parser.add_argument("-m", "--multirun", action="store_true", help="a sweep: a line a point, and all faults")
    parser.add_argument("-cd", "--config-dir", metavar="FOLDER", help="further config groups, recipes below recipes/")
    given = parser.parse_intermixed_args(words)
    from compressbench.cli.check import print_check, print_sweep_check

    return (print_sweep_check if given.multirun else print_check)(given.overrides, given.config_dir, _console())


def _list(words: list[str]) -> int:
    parser = verb_parser("list", "List what there is, the rows of a table, or what one of them is and its parameters.")
    parser.epilog = "examples: compressbench list techniques; list table5; list pruning; list pruning/magnitude"
    what = "recipes, techniques, models, datasets, metrics; a table; a family of techniques; any name of them"
    parser.add_argument("what", nargs="?", help=f"{what}; everything if left out")
    given = parser.parse_args(words)
    from compressbench.cli.listing import print_list

    return print_list(given.what)


def _report(words: list[str]) -> int:
    parser = verb_parser("report", "Set what was measured beside the published figures.")
    parser.epilog = "examples: compressbench report; compressbench report table5 --format markdown > RESULTS.md"
    which = (
        "a folder of recipes (table5, ...), one recipe (quickstart), or the id of a sweep; a line a table if left out"
    )
    parser.add_argument("table", nargs="?", help=which)
    parser.add_argument("--format", choices=FORMATS, default=FORMATS[0])
    parser.add_argument("--outputs", default=None, help="folder of the runs (default: outputs)")
    parser.add_argument("--plot", metavar="FILE", help="also draw accuracy against MACs into a PNG file")
    parser.add_argument("--commit", metavar="FOLDER", help="also write the records, made small, into a folder")
    given = parser.parse_args(words)
    from compressbench.cli.report import print_report, print_summary

    outputs = Path(given.outputs or os.environ.get("COMPRESSBENCH_OUTPUTS") or "outputs").expanduser().absolute()
    if given.table is None:
        unfit = [f"--{name}" for name in ("plot", "commit") if getattr(given, name)]
        if unfit:
            raise PlanError.of(unfit[0], "goes with one table; name it: compressbench report TABLE")
        return print_summary(outputs, given.format, _console())
    return print_report(given.table, outputs, given.format, given.plot, given.commit, _console())


def _ui(words: list[str]) -> int:
    parser = verb_parser("ui", "Start the MLflow UI on the store in use and print its address. Ctrl-C stops it.")
    parser.epilog = "example: compressbench ui --port 5001"
    parser.add_argument("--port", type=int, default=5000)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    parser.add_argument("overrides", nargs="*", help="outputs=FOLDER tracking.uri=URI")
    given = parser.parse_args(words)
    from compressbench.tracking.ui import serve

    _, store, _ = _outputs_and_store(given.overrides)
    try:
        return serve(store, given.host, given.port, not given.no_browser)
    except ValueError as error:
        raise PlanError.of("--port", str(error)) from error


def _sync(words: list[str]) -> int:
    parser = verb_parser("sync", "Send to MLflow what could not be sent when it ended: where it was meant to go.")
    parser.epilog = "example: compressbench sync tracking.uri=http://127.0.0.1:5000"
    parser.add_argument("overrides", nargs="*", help="outputs=FOLDER tracking.uri=URI")
    overrides = parser.parse_args(words).overrides
    from compressbench.tracking.sync import sync

    outputs, store, named = _outputs_and_store(overrides)
    done = sync(outputs, store, everything=named)
    for where, sent, missing in done:
        print(f"{sent} {'run' if sent == 1 else 'runs'} sent to {where}, {missing} still missing")
    if not done:
        print(f"nothing is missing{f' at {store.name}' if named else ''}")
    return 1 if any(each.missing for each in done) else 0


def _outputs_and_store(overrides: list[str]) -> tuple[Path, Store, bool]:
    """Return the folder of the runs, the store, and whether the configuration names it."""
    from compressbench.cli.job import store_of
    from compressbench.planning.compose import compose
    from compressbench.planning.settings import settings

    given = settings(compose(overrides))
    if not given.tracking.enabled:
        raise PlanError.of("tracking", "is off, so there is no store; allowed: mlflow")
    return given.folder, store_of(given), given.tracking.uri is not None


def _completion(words: list[str]) -> int:
    parser = verb_parser("completion", "Print the line that turns on tab completion in bash, for this shell.")
    parser.epilog = 'example: eval "$(compressbench completion)"   in ~/.bashrc for every shell'
    parser.parse_args(words)
    print("complete -o nospace -o default -C 'compressbench complete' compressbench")
    return 0


def _complete(words: list[str]) -> int:
    """Called by bash with the line in COMP_LINE; prints one candidate a line. words: the command, what is completed."""
    from compressbench.planning.complete import offer

    line = os.environ.get("COMP_LINE", "")[: int(os.environ.get("COMP_POINT", "100000"))]
    print("\n".join(offer(line, "".join(words[1:2]), list(VERBS))))
    return 0


def _console() -> Any:
    from compressbench.cli.job import console

    return console()


VERBS: dict[str, Callable[[list[str]], int]] = {
    "run": _run,
    "check": _check,
    "list": _list,
    "report": _report,
    "inspect": inspect,
    "evaluate": evaluate,
    "export": export,
    "ui": _ui,
    "sync": _sync,
    "cache": cache,
    "completion": _completion,
}
