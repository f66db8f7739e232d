"""A sweep: runs that differ in a few settings, each an ordinary run, and the answer they give together."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from compressbench.app.run import Ran, prepare_run, store_of
from compressbench.core.atomic import write_atomically
from compressbench.core.errors import PlanError, RunError, lack_of_memory
from compressbench.core.parent import announce
from compressbench.core.process import Process
from compressbench.core.record import RunRecord
from compressbench.core.specs import primary_of
from compressbench.core.sweep import Outcome, Place, Sweep, SweepRecord, shortened, sweep_folder
from compressbench.core.sweep_progress import began, broken_off, ended, now, read_progress, settle
from compressbench.core.temporary import remove
from compressbench.running.folders import make_outputs

if TYPE_CHECKING:
    from rich.console import Group

    from compressbench.planning.launch import Job
    from compressbench.planning.prepare import Prepared
    from compressbench.planning.settings import Settings

DONE, FAILED, BAD_INPUT = 0, 1, 2
"""How a run of a sweep ended, as exit codes."""


class Swept(NamedTuple):
    """What a sweep came to. records: its runs that have a result, as points of this sweep alone."""

    note: SweepRecord
    records: list[RunRecord]
    settings: Settings

    @property
    def folder(self) -> Path:
        """Where the sweep keeps what belongs to all its runs."""
        return sweep_folder(self.settings.folder, self.note.sweep)

    @property
    def code(self) -> int:
        """The worst exit code of its runs."""
        return max(outcome.code for outcome in self.note.outcomes)

    def table(self) -> Group:
        """Return the answer, a row a point, for a console."""
        from compressbench.reporting.render import as_rich
        from compressbench.reporting.sweep_page import sweep_page

        return as_rich(sweep_page(self.note, self.records))

    def write_tables(self) -> None:
        """Leave the answer and its tables in the folder."""
        from compressbench.reporting.files import sweep_files

        for name, text in sweep_files(self.note, self.records).items():
            write_atomically(self.folder / name, text)

    def draw(self) -> Path | None:
        """Leave the plots in the folder, and return the one against costs; None without any result."""
        from compressbench.reporting.parallel import parallel
        from compressbench.reporting.plot import plot
        from compressbench.reporting.sweep_page import sweep_page

        if not self.records:
            return None
        name = f"{primary_of(self.records)}_against_cost.png"
        title = sweep_page(self.note, self.records).title
        parallel(self.records, self.folder / "parallel_coordinates.png", title)
        return plot(self.records, self.folder / name, title)

    def track(self) -> str | None:
        """Have MLflow told, and return the address of the curve there; None if tracking is off or it is not there."""
        if not self.records or not self.settings.tracking.enabled:
            return None
        from compressbench.tracking.link import chart_link
        from compressbench.tracking.sweep import send_sweep

        store = store_of(self.settings)
        told = send_sweep(self.note.sweep, self.records, store, self.folder)
        return chart_link(store, self.folder, self.note.sweep) if told else None


def carry_out_sweep(
    overrides: Sequence[str], job: Job, further: str | None = None, say: Callable[[str], None] = lambda line: None
) -> Swept:
    """Have every run that the overrides stand for carried out by `job`, and keep a note, from the start on, of what is
    to be run, how far it is, and how each ended.

    The same overrides are the same sweep: started again after a kill, it goes on, and its answer is replaced. PlanError
    for a sweep over nothing, or one of which no run can be composed. further: as `prepare_run` takes it. say: told
    in a line how runs are started, if not one after the other here. RunError if the launcher lost a run.
    """
    from compressbench.planning.launch import launch

    announce()
    sweep = checked_sweep(overrides, further)
    given = prepare_run(sweep.shared, further).settings
    make_outputs(given.folder)
    folder = sweep_folder(given.folder, sweep.identity)
    is_new = not folder.exists()
    note = _begin(sweep, list(overrides), folder, further)
    try:
        note = replace(note, outcomes=launch(sweep, partial(_noted, job, folder), further, say), process=None)
    except BaseException as error:
        if is_new and isinstance(error, PlanError) and not read_progress(folder).started:
            remove(folder)
        else:
            replace(read_progress(folder).note, process=None).write(folder)
        raise
    settle(folder, note)
    return Swept(note, note.records(given.folder), given)


def checked_sweep(overrides: Sequence[str], further: str | None = None) -> Sweep:
    """Return the runs that overrides and the `sweep:` of their recipes stand for. PlanError for none, and with all that
    is wrong with what the recipes say shall be swept."""
    from compressbench.planning.launch import faults_of_axes, read_sweep

    sweep = read_sweep(overrides, further)
    if faults := faults_of_axes(sweep, further):
        raise PlanError(faults)
    return sweep


def swept_by_recipe(overrides: Sequence[str], further: str | None = None) -> str:
    """Return a line that says what a recipe sweeps with `-m`, how many points that makes; empty if it sweeps nothing.

    PlanError with all that is wrong with it.
    """
    from compressbench.planning.axes import axes_of

    if not axes_of(overrides, further):
        return ""
    sweep = checked_sweep(overrides, further)
    keys = ", ".join(shortened(list(sweep.points[0].values)))
    return f"its own single values; `-m` would run {len(sweep.points)} points, over {keys}"


def _begin(sweep: Sweep, overrides: list[str], folder: Path, further: str | None) -> SweepRecord:
    """Write the note of what is to be run. What an earlier start came to stays in it."""
    before: list[Outcome] = []
    name = sweep.name
    with suppress(OSError, ValueError):  # there is none yet, or a damaged one, which this one replaces
        earlier = read_progress(folder).note
        before, name = earlier.outcomes, name or earlier.name
    points = [point.values for point in sweep.points]
    kept = [each for each in before if each.number <= len(points) and points[each.number - 1] == each.values]
    how = [text.partition("=")[2] for text in sweep.launcher if text.startswith(("launcher=", "hydra/launcher="))]
    note = SweepRecord(
        sweep.identity,
        overrides,
        kept,
        name=name,
        started=now(),
        launcher=how[-1] if how else "sequential",
        points=points,
        process=Process.current(),
        folder=os.getcwd(),
        config_dir=further,
    )
    settle(folder, note)
    return note


def _noted(job: Job, folder: Path, make: Callable[[], Prepared], place: Place) -> Outcome:
    """Do a job, and note in the sweep's folder that it begins and how it ends."""
    began(folder, place.number)
    try:
        outcome = job(make, place)
    except BaseException:  # Ctrl-C: jobs keep their exceptions
        broken_off(folder, place.number)
        raise
    ended(folder, outcome)
    return outcome


def attempt(place: Place, work: Callable[[], Ran], failed: Callable[[BaseException], None]) -> Outcome:
    """Do the work of one point and return how it ended. failed: told of an exception, whatever it is."""
    try:
        return Outcome(place.number, place.values, run=work().name)
    except (Exception, SystemExit) as error:
        from compressbench.planning.launchers import is_requeued

        if is_requeued(error):
            raise
        shown = (lack_of_memory(error) if isinstance(error, Exception) else None) or error
        failed(shown)
        return Outcome(place.number, place.values, *_ending(shown))


def _ending(error: BaseException) -> tuple[int, str]:
    """Return the exit code that an exception stands for, and the reason in one line."""
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else FAILED if error.code else DONE
        return code, f"it was ended with {error.code}" if code else ""
    if isinstance(error, PlanError | RunError):
        return BAD_INPUT if isinstance(error, PlanError) else FAILED, "; ".join(str(error).splitlines())
    return FAILED, f"{type(error).__name__}: {error}".partition("\n")[0]
