"""A run: from a configuration to a record on the disk, told to MLflow."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compressbench.core.atomic import write_atomically
from compressbench.core.errors import PlanError, RunError, check_memory
from compressbench.core.observer import NOBODY
from compressbench.core.parent import end_with_announced
from compressbench.core.record import RunRecord
from compressbench.core.source import sources_in
from compressbench.core.sweep import Place
from compressbench.running import finished
from compressbench.running.folders import RECORD, make_outputs, write_record
from compressbench.running.room import sweep_left_behind

if TYPE_CHECKING:
    from rich.console import Console, Group

    from compressbench.core.plan import Plan
    from compressbench.planning.prepare import Prepared as Prepared
    from compressbench.planning.settings import Settings
    from compressbench.tracking.store import Store
    from compressbench.tracking.worker import Worker

DATA = "COMPRESSBENCH_DATA"
"""Environment variable with the folder of the data; without it, `data` in the working directory."""


def prepare_run(overrides: Sequence[str], further: str | None = None) -> Prepared:
    """Compose what overrides say; PlanError with everything that is wrong if it cannot even be read.

    further: one more folder of config groups, with recipes below `recipes/`.
    """
    from compressbench.planning.prepare import prepare

    return prepare(overrides, further)


@dataclass
class Ran:
    """A run that has a result. folder: where the record and the packed file lie. known: it was finished before, and
    nothing was trained."""

    record: RunRecord
    folder: Path
    known: bool
    settings: Settings
    worker: Worker | None = None

    @property
    def name(self) -> str:
        """The folder below `outputs/runs`."""
        return self.folder.relative_to(self.settings.folder / "runs").as_posix()

    def table(self) -> Group:
        """Return a row a stage, for a console."""
        from compressbench.reporting.run_table import run_table

        return run_table(self.record)

    def line(self) -> str:
        """Return the result in a line: how long it took, what became of the budget."""
        from compressbench.reporting.run_table import in_a_line

        return in_a_line(self.record)

    def track(self) -> str | None:
        """Have MLflow told, and return the address of the run there; None if tracking is off or MLflow is not there.

        Last: whoever waits for it has the result.
        """
        if not self.settings.tracking.enabled:
            return None
        from compressbench.tracking.link import run_link
        from compressbench.tracking.send import send

        store = store_of(self.settings)
        told = self.worker.send(self.record, self.folder) if self.worker else send(self.record, self.folder, store)
        return run_link(store, self.folder) if told else None


def carry_out(prepared: Prepared, place: Place | None = None, console: Console | None = None) -> Ran:
    """Carry out a configuration: check, run, write the record; what is finished already is only read.

    place: in a sweep. console: where progress is shown; nowhere if left out. Raises PlanError with everything that is
    wrong, RunError if a stage cannot go on. A missed budget is in the record's `missed`.
    """
    given = prepared.settings
    end_with_announced()
    if given.cache:
        from compressbench.running.shared_cache import check_uri

        check_uri(given.cache)
    make_outputs(given.folder)
    sweep_left_behind(given.folder)
    identity = _identity(prepared)
    found = finished.recall(identity, given.folder)
    if found is None:
        worker = _worker(prepared) if given.tracking.enabled else None
        ran = Ran(*_run(prepared, identity, place, console, worker), False, given, worker)
    else:
        ran = Ran(*found, True, given)
        if place:
            _join(place, ran.record, ran.folder)
    from compressbench.reporting.files import run_files

    for file, text in run_files(ran.record).items():
        write_atomically(ran.folder / file, text)
    return ran


def check_budget(record: RunRecord) -> None:
    """Raise RunError, with the record, if a limit of the budget is broken."""
    if record.missed:
        raise RunError("the budget is missed: " + "; ".join(record.missed), record)


def _identity(prepared: Prepared) -> dict[str, Any]:
    """Return what leads to a record: not where it is written or how it is tracked, but where data is looked for."""
    from compressbench.planning.overrides import changes_training

    found = {key: value for key, value in prepared.plain().items() if key not in ("outputs", "cache", "tracking")}
    return found | {"custom": changes_training(prepared.overrides), "data": [os.environ.get(DATA), os.getcwd()]}


def _worker(prepared: Prepared) -> Worker:
    """Return what tells the store of a configuration how its run goes on."""
    from compressbench.tracking.content import experiment_of
    from compressbench.tracking.worker import worker

    table, _, row = prepared.config.recipe.rpartition("/")
    return worker(store_of(prepared.settings), experiment_of(table or ".", row))


def _run(
    prepared: Prepared, identity: dict[str, Any], place: Place | None, console: Console | None, worker: Worker | None
) -> tuple[RunRecord, Path]:
    check_memory()
    from compressbench.planning.build import build
    from compressbench.planning.published import with_its_reference
    from compressbench.running.decided import decided
    from compressbench.running.dry_run import dry_run
    from compressbench.running.environment import usable_device
    from compressbench.running.folders import run_folder
    from compressbench.running.progress import shown_on
    from compressbench.running.run import run

    given, outputs = prepared.settings, prepared.settings.folder
    plan, faults = build(*prepared)
    device, unusable = usable_device(given.device, given.threads)
    faults = faults + unusable
    if plan is not None:
        missed = dry_run(plan, outputs, device)[1]
        # A run is refused if it is known beforehand to miss a limit; a point of a sweep is marked instead.
        marked = [f"budget.{name}" for name in plan.budget.limits] if place else []
        faults = faults + [fault for fault in missed if fault.where not in marked]
    if faults or plan is None:
        raise PlanError(faults)
    plan = _named(decided(with_its_reference(plan, prepared.overrides), device), place)
    folder = run_folder(outputs, plan)
    try:
        with shown_on(console, _short(place, console)) as progress:
            record = run(plan, outputs, progress, device, worker or NOBODY, shared=given.cache)
    except Exception as error:
        if worker:
            _tell_of_failure(worker, folder, error)
        raise
    if place:
        _join(place, record, folder)
    if not plan.others:  # whose recipes may change without this one
        finished.remember(identity, outputs, folder, _sources(plan))
    return record, folder


def _named(plan: Plan, place: Place | None) -> Plan:
    """Return the plan with what is swept as the first that tells it from its recipe."""
    swept = place.values if place else {}
    return replace(plan, changed=tuple(sorted(plan.changed, key=lambda change: change[0] not in swept)))


def _tell_of_failure(worker: Worker, folder: Path, error: Exception) -> None:
    """Have a run that failed shown as such: with its record, if it came to one."""
    record = RunRecord.read(folder / RECORD) if isinstance(error, RunError) and (folder / RECORD).is_file() else None
    if record is not None and record.error == str(error):
        worker.send(record, folder)
    else:
        worker.failed(str(error) or type(error).__name__)


def _sources(plan: Plan) -> list[str]:
    """Return the files that lead to a record beside its configuration: the data's, the metrics', given weights, and
    those that stages read."""
    from compressbench.planning.catalogue import group_file

    files = [group_file("metric", name) for name, _ in plan.metrics]
    if plan.model.weights_file is not None:
        files.append(plan.model.weights_file.absolute())
    files += [source.path.absolute() for stage in plan.stages for source in sources_in(stage) if source.file]
    return plan.dataset.sources() + [str(file) for file in files if file and file.is_file()]


def _short(place: Place | None, console: Console | None) -> str:
    """Return what a run's progress is called: beside a bar there is room for its number only."""
    if place is None or place.parallel or console is None:
        return ""
    return f"{place.number} of {place.total}" if console.is_terminal else place.name


def _join(place: Place, record: RunRecord, folder: Path) -> None:
    """Note in the record that this run is a point of the sweep that is going on."""
    record.sweeps[place.sweep] = place.values
    write_record(record, folder)


def store_of(given: Settings) -> Store:
    """Return the MLflow store a configuration names."""
    from compressbench.tracking.store import chosen

    told = given.tracking
    return chosen(given.folder, told.uri, told.timeout_s, told.retries, told.deadline_s)
