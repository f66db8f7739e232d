"""`compressbench run`: a recipe, or a sweep over one, and what is printed meanwhile."""

from __future__ import annotations

import signal
import sys
import warnings
from contextlib import contextmanager, nullcontext
from threading import current_thread, main_thread
from typing import TYPE_CHECKING, NoReturn

from compressbench.cli.parser import console
from compressbench.cli.whole_lines import whole_lines
from compressbench.core.errors import PlanError, RunError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterator

    from compressbench.app.run import Prepared, Ran
    from compressbench.app.sweep import Swept
    from compressbench.core.sweep import Outcome, Place

HELP = """\
compressbench run [-m] recipe=NAME|FILE.yaml [overrides]

Carry out a recipe, given by its name or the path to its file: train, compress and measure, stage by stage.
Overrides are Hydra's: every parameter of a technique can be set (`compressbench list pruning/l1_norm` shows them),
a stage's technique swapped, a stage added (+stages.more={technique: ...}) or deleted (~stages.finetune). What was
finished before is not computed again; a killed run goes on from its last epoch.

  compressbench run recipe=quickstart
  compressbench run recipe=table5/mnist_l1norm_50 stages.prune.ratio=0.7 seed=1
  compressbench run recipe=table5/mnist_l1norm_50 training=reduced dataset.root=/data
  compressbench run -m recipe=table5/mnist_l1norm_50 stages.prune.ratio=0.1,0.3,0.5 seed=0,1,2
  compressbench run -m 'recipe=glob(table5/mnist_*)' launcher=local sweep.name=mnist
  compressbench run recipe=table5/mnist_l1norm_50 debug=smoke      seconds, made-up data
  compressbench run recipe=quickstart --cfg job                    print the composed configuration

More keys: outputs=FOLDER device=auto|cpu|cuda threads=2 tracking=off tracking.uri=URI limits.steps=10
"""


def run(words: list[str]) -> int:
    """`compressbench run`"""
    if not words or {"-h", "--help"} & set(words):
        print(HELP, end="")
        return 0
    given = parse_arguments(words)
    if given.cfg or given.info:
        return _show(given)
    if given.multirun:
        return _run_sweep(given)
    from compressbench.app.run import check_budget, prepare_run
    from compressbench.app.sweep import swept_by_recipe

    warnings.formatwarning = lambda message, *_: f"warning: {message}\n"
    prepared = prepare_run(given.overrides, given.config_dir)
    if line := swept_by_recipe(given.overrides, given.config_dir):
        console().print(line, style="dim", highlight=False, markup=False)
    ran = _shown(prepared, None)
    check_budget(ran.record)
    return 0


def parse_arguments(words: list[str]) -> Namespace:
    """Return flags and `overrides`, which may come in any order. PlanError if they cannot be understood."""
    from argparse import ArgumentParser

    parser = ArgumentParser("compressbench run", add_help=False, allow_abbrev=False)
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--multirun", "-m", action="store_true")
    parser.add_argument("--cfg", "-c", choices=("job", "hydra", "all"))
    parser.add_argument("--package", "-p")
    parser.add_argument("--resolve", action="store_true")
    parser.add_argument(
        "--info", "-i", nargs="?", const="all", choices=("all", "config", "defaults-tree", "searchpath")
    )
    parser.add_argument("--config-dir", "-cd")

    def refuse(message: str) -> NoReturn:
        raise PlanError.of("", message)

    parser.error = refuse  # type: ignore[method-assign]
    given = parser.parse_intermixed_args(words)
    if (given.resolve or given.package) and not given.cfg:
        refuse("--resolve and --package go with --cfg")
    given.multirun = given.multirun or "hydra.mode=MULTIRUN" in given.overrides
    return given


def _show(given: Namespace) -> int:
    """Print what a flag asks for; of a sweep, its first run."""
    from compressbench.app.show import first_run, print_hydra, shown_job

    words = first_run(given.overrides, given.config_dir) if given.multirun else given.overrides
    if given.cfg == "job" and not given.info:
        print(shown_job(words, given.config_dir, given.package, given.resolve), end="")
    else:
        what = f"info {given.info}" if given.info else given.cfg
        print_hydra(words, given.config_dir, given.package, given.resolve, what)
    return 0


def _run_sweep(given: Namespace) -> int:
    from compressbench.app.sweep import carry_out_sweep

    with until_ended():
        return finish_sweep(carry_out_sweep(given.overrides, point, given.config_dir, said))


def said(line: str) -> None:
    """Print a line at once, whoever reads it."""
    print(line, flush=True)


@contextmanager
def until_ended() -> Iterator[None]:
    """Take the signal by which a sweep is cancelled (SIGTERM) as Ctrl-C: its workers end, and its note is written."""
    if current_thread() is not main_thread():  # nobody else may say what signals do
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def finish_sweep(swept: Swept) -> int:
    """Print what a sweep came to, tell MLflow, and return the exit code."""
    failed = sum(outcome.code != 0 for outcome in swept.note.outcomes)
    if failed:
        print(f"{failed} of {len(swept.note.outcomes)} runs failed", file=sys.stderr)
    show_answer(swept)
    if link := swept.track():
        print(f"compressbench ui   shows its curve at {link}")
    return swept.code


def show_answer(swept: Swept) -> None:
    """Print the answer, and leave it and its plot in the sweep's folder. What goes wrong here costs no result."""
    try:
        console().print(swept.table())
        swept.write_tables()
        if plot := swept.draw():
            print(f"plot: {plot}")
    except Exception as error:
        print(f"the plot or the table of the sweep is missing: {error}", file=sys.stderr)
    print(f"compressbench report {swept.note.sweep}   shows this again; tables: {swept.folder}")


def point(make: Callable[[], Prepared], place: Place) -> Outcome:
    """Carry out one run of a sweep, in this process or in a launcher's worker, and print how it goes."""
    from compressbench.app.sweep import attempt

    warnings.formatwarning = lambda message, *_: f"warning: {message}\n"
    with whole_lines(place.name) if place.parallel else nullcontext():
        who = "" if place.parallel else f"{place.name}: "
        return attempt(place, lambda: _shown(make(), place), lambda error: _say(error, who))


def _shown(prepared: Prepared, place: Place | None) -> Ran:
    """Carry out a configuration and print its stages, unless others print at the same time, and in a sweep last a line
    with its name."""
    from compressbench.app.run import carry_out

    printer, name = console(), f"{place.name}: " if place and not place.parallel else ""
    if place:
        printer.print(f"{name}started", style="bold", highlight=False, markup=False)
    ran = carry_out(prepared, place, printer)
    record = ran.record
    if ran.known:
        known = f"{name}{record.recipe} seed {record.seed} is finished already; nothing is trained again."
        printer.print(known, highlight=False, markup=False)
    if not place or not place.parallel:
        printer.print(ran.table())
        printer.print(f"record and weights: {ran.folder}", style="dim", highlight=False)
    if place:
        printer.print(f"{name}{ran.line()}", style="bold", highlight=False, markup=False)
    link = ran.track()
    if link and not place:
        printer.print(f"compressbench ui   shows it at {link}", style="dim", highlight=False)
    return ran


def _say(error: BaseException, who: str) -> None:
    """Say on stderr why a run failed. who: what its lines start with."""
    if isinstance(error, PlanError | RunError):
        print("\n".join(f"{who}error: {line}" for line in str(error).splitlines()), file=sys.stderr)
    elif not isinstance(error, SystemExit):
        import traceback

        print(f"{who}error:\n{''.join(traceback.format_exception(error))}", file=sys.stderr)
