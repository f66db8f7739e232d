"""One run of `compressbench run`, in this process or in a launcher's worker."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compressbench.core.atomic import write_atomically
from compressbench.core.errors import PlanError, RunError, check_memory
from compressbench.core.observer import NOBODY
from compressbench.core.parent import end_with_announced
from compressbench.core.record import RunRecord
from compressbench.core.sweep import Place
from compressbench.running import finished
from compressbench.running.folders import RECORD, write_record
from compressbench.running.room import sweep_left_behind

if TYPE_CHECKING:
    from omegaconf import DictConfig
    from rich.console import Console

    from compressbench.core.plan import Plan
    from compressbench.planning.settings import Settings
    from compressbench.tracking.store import Store
    from compressbench.tracking.worker import Worker

DATA = "COMPRESSBENCH_DATA"
"""Environment variable with the folder of the data; without it, `data` in the working directory."""

WIDTH = 200
"""Columns of a table that goes to a file or a pipe."""


def job(config: DictConfig, overrides: list[str], place: Place | None) -> str:
    """Carry out one composed configuration: check, run, track, print; return the run's folder below `outputs/runs`.

    Raises PlanError for bad input, RunError if a stage cannot go on or, outside a sweep, the budget is missed (the
    result is on the disk and tracked by then): in a sweep a missed budget is a result like any other.
    """
    from omegaconf import OmegaConf

    from compressbench.planning.settings import settings
    from compressbench.tracking.link import run_link
    from compressbench.tracking.send import send

    warnings.formatwarning = lambda message, *_: f"warning: {message}\n"
    printer, given = console(), settings(config)
    outputs, name = given.folder, f"{place.name}: " if place and not place.parallel else ""
    end_with_announced()
    sweep_left_behind(outputs)
    if place:
        printer.print(f"{name}started", style="bold", highlight=False, markup=False)
    identity = _identity(OmegaConf.to_container(config, resolve=True), overrides)
    found, messenger = finished.recall(identity, outputs), None
    if found is None:
        if given.tracking.enabled:
            messenger = _courier(given, config.recipe)
        record, folder = _run(config, overrides, given, identity, printer, place, messenger)
    else:
        record, folder = found
        known = f"{name}{record.recipe} seed {record.seed} is finished already; nothing is trained again."
        printer.print(known, highlight=False, markup=False)
        if place:
            _join(place, record, folder)
    from compressbench.reporting.files import run_files

    for file, text in run_files(record).items():
        write_atomically(folder / file, text)
    _show(record, folder, place, printer)
    if given.tracking.enabled:  # last: whoever waits for it has the result
        store = store_of(given)
        sent = messenger.send(record, folder) if messenger else send(record, folder, store)
        if sent and not place:
            printer.print(f"compressbench ui   shows it at {run_link(store, folder)}", style="dim", highlight=False)
    if record.missed and not place:
        raise RunError("the budget is missed: " + "; ".join(record.missed))
    return folder.relative_to(outputs / "runs").as_posix()


def _show(record: RunRecord, folder: Path, place: Place | None, printer: Console) -> None:
    """Print a result: its stages, unless others print at the same time, and in a sweep last a line with its name."""
    from compressbench.reporting.run_table import in_a_line, run_table

    if not place or not place.parallel:
        printer.print(run_table(record))
        printer.print(f"record and weights: {folder}", style="dim", highlight=False)
    if place:
        name = "" if place.parallel else f"{place.name}: "
        printer.print(f"{name}{in_a_line(record)}", style="bold", highlight=False, markup=False)


def console() -> Console:
    """Return what prints tables: as wide as the terminal, or wide enough for all columns where there is none."""
    from rich.console import Console

    found = Console()
    return found if found.is_terminal else Console(width=WIDTH)


def _identity(config: Any, overrides: list[str]) -> dict[str, Any]:
    """Return what leads to a record: not where it is written or how it is tracked, but where data is looked for."""
    from compressbench.planning.overrides import changes_training

    found = {key: value for key, value in config.items() if key not in ("outputs", "tracking")}
    return found | {"custom": changes_training(overrides), "data": [os.environ.get(DATA), os.getcwd()]}


def _courier(given: Settings, recipe: str) -> Worker:
    """Return what tells the store of a configuration how a run of a recipe goes on."""
    from compressbench.tracking.content import experiment_of
    from compressbench.tracking.worker import worker

    table, _, row = recipe.rpartition("/")
    return worker(store_of(given), experiment_of(table or ".", row))


def _run(
    config: DictConfig,
    overrides: list[str],
    given: Settings,
    identity: dict[str, Any],
    console: Console,
    place: Place | None,
    messenger: Worker | None,
) -> tuple[RunRecord, Path]:
    check_memory()
    from compressbench.planning.build import build
    from compressbench.planning.published import with_its_reference
    from compressbench.running.decided import decided
    from compressbench.running.dry_run import dry_run
    from compressbench.running.environment import usable_device
    from compressbench.running.folders import run_folder
    from compressbench.running.progress import ConsoleProgress, NamedProgress
    from compressbench.running.run import run

    outputs = given.folder
    plan, faults = build(config, overrides)
    device, unusable = usable_device(given.device, given.threads)
    faults = faults + unusable
    if plan is not None:
        missed = dry_run(plan, outputs, device)[1]
        # A run is refused if it is known beforehand to miss a limit; a point of a sweep is marked instead.
        marked = [f"budget.{name}" for name in plan.budget.limits] if place else []
        faults = faults + [fault for fault in missed if fault.where not in marked]
    if faults or plan is None:
        raise PlanError(faults)
    plan = decided(with_its_reference(plan, overrides), device)
    folder = run_folder(outputs, plan)
    try:
        with ConsoleProgress(console) as progress:
            named = NamedProgress(progress, _short(place, console))
            record = run(plan, outputs, named, device, messenger or NOBODY)
    except Exception as error:
        if messenger:
            _tell_of_failure(messenger, folder, error)
        raise
    if place:
        _join(place, record, folder)
    finished.remember(identity, outputs, folder, _sources(plan))
    return record, folder


def _tell_of_failure(messenger: Worker, folder: Path, error: Exception) -> None:
    """Have a run that failed shown as such: with its record, if it came to one."""
    record = RunRecord.read(folder / RECORD) if isinstance(error, RunError) and (folder / RECORD).is_file() else None
    if record is not None and record.error == str(error):
        messenger.send(record, folder)
    else:
        messenger.failed(str(error) or type(error).__name__)


def _sources(plan: Plan) -> list[str]:
    """Return the files that lead to a record beside its configuration: the data's, the metrics', given weights."""
    from compressbench.planning.stages import group_file

    files = [group_file("metric", name) for name, _ in plan.metrics]
    if plan.model.weights is not None:
        files.append(Path(plan.model.weights).expanduser().absolute())
    return plan.dataset.sources() + [str(file) for file in files if file and file.is_file()]


def _short(place: Place | None, console: Console) -> str:
    """Return what a run's progress is called: beside a bar there is room for its number only."""
    if place is None or place.parallel:
        return ""
    return f"{place.number} of {place.total}" if console.is_terminal else place.name


def _join(place: Place, record: RunRecord, folder: Path) -> None:
    """Note in the record that this run is a point of the sweep that is going on."""
    record.sweeps[place.sweep] = place.values
    write_record(record, folder)


def store_of(given: Settings) -> Store:
    """Return the MLflow store a configuration names."""
    from compressbench.tracking.store import chosen

    tracking = given.tracking
    return chosen(given.folder, tracking.uri, tracking.timeout_s, tracking.retries, tracking.deadline_s)
