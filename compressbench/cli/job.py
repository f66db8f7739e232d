"""One run of `compressbench run`, in this process or in a launcher's worker."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compressbench.core.atomic import write_atomically
from compressbench.core.faults import Fault, PlanError, RunError
from compressbench.core.observer import NOBODY
from compressbench.core.record import RunRecord
from compressbench.running import finished
from compressbench.running.folders import RECORD

if TYPE_CHECKING:
    from omegaconf import DictConfig
    from rich.console import Console

    from compressbench.core.plan import Plan
    from compressbench.planning.settings import Settings
    from compressbench.tracking.courier import Courier
    from compressbench.tracking.store import Store

DATA = "COMPRESSBENCH_DATA"
"""Environment variable with the folder of the data; without it, `data` in the working directory."""
SWEEP = "COMPRESSBENCH_SWEEP"
"""Environment variable that carries a sweep (JSON: `id`, swept `keys`) from the command to its jobs."""
POINTS = "points"
"""Below a sweep's folder: a file a run that says where its record is."""

WIDTH = 200
"""Columns of a table that goes to a file or a pipe."""


def job(config: DictConfig, overrides: list[str]) -> None:
    """Carry out one composed configuration: check, run, track, print.

    Raises PlanError for bad input, and RunError if a stage cannot go on or the budget is missed (the
    result is on the disk and tracked by then).
    """
    from omegaconf import OmegaConf

    from compressbench.planning.settings import settings
    from compressbench.tracking.link import run_link
    from compressbench.tracking.send import send

    warnings.formatwarning = lambda message, *_: f"warning: {message}\n"
    printer, given = console(), settings(config)
    outputs = given.folder
    identity = _identity(OmegaConf.to_container(config, resolve=True), overrides)
    found, messenger = finished.recall(identity, outputs), None
    if found is None:
        if given.tracking.enabled:
            messenger = _courier(given, config.recipe)
        record, folder = _run(config, overrides, given, identity, printer, messenger)
    else:
        record, folder = found
        printer.print(f"{record.recipe} seed {record.seed} is finished already; nothing is trained again.")
    _join_sweep(record, folder, outputs, overrides)
    from compressbench.reporting.files import run_files
    from compressbench.reporting.run_table import run_table

    for name, text in run_files(record).items():
        write_atomically(folder / name, text)
    printer.print(run_table(record))
    printer.print(f"record and weights: {folder}", style="dim", highlight=False)
    if given.tracking.enabled:  # last: whoever waits for it has the result
        store = store_of(given)
        if messenger.send(record, folder) if messenger else send(record, folder, store):
            printer.print(f"compressbench ui   shows it at {run_link(store, folder)}", style="dim", highlight=False)
    if record.missed:
        raise RunError("the budget is missed: " + "; ".join(record.missed))


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


def _courier(given: Settings, recipe: str) -> Courier:
    """Return what tells the store of a configuration how a run of a recipe goes on."""
    from compressbench.tracking.content import experiment_of
    from compressbench.tracking.courier import courier

    table, _, row = recipe.rpartition("/")
    return courier(store_of(given), experiment_of(table or ".", row))


def _run(
    config: DictConfig,
    overrides: list[str],
    given: Settings,
    identity: dict[str, Any],
    console: Console,
    messenger: Courier | None,
) -> tuple[RunRecord, Path]:
    import torch

    from compressbench.planning.build import build
    from compressbench.running.environment import choose_device
    from compressbench.running.folders import run_folder
    from compressbench.running.progress import ConsoleProgress
    from compressbench.running.rehearsal import rehearse
    from compressbench.running.run import run

    outputs = given.folder
    if given.threads is not None:
        torch.set_num_threads(given.threads)
    plan, faults = build(config, overrides)
    if plan is not None:
        faults = faults + rehearse(plan, outputs)[1]
    try:
        device = choose_device(given.device)
    except ValueError as error:
        faults = [*faults, Fault("device", str(error))]
    if faults or plan is None:
        raise PlanError(faults)
    folder = run_folder(outputs, plan.table, plan.row, plan.plan_id())
    try:
        with ConsoleProgress(console) as progress:
            record = run(plan, outputs, progress, device, messenger or NOBODY)
    except Exception as error:
        if messenger:
            _tell_of_failure(messenger, folder, error)
        raise
    finished.remember(identity, outputs, folder, _sources(plan))
    return record, folder


def _tell_of_failure(messenger: Courier, folder: Path, error: Exception) -> None:
    """Have a run that failed shown as such: with its record, if it came to one."""
    record = RunRecord.read(folder / RECORD) if isinstance(error, RunError) and (folder / RECORD).is_file() else None
    if record is not None and record.error == str(error):
        messenger.send(record, folder)
    else:
        messenger.failed(str(error) or type(error).__name__)


def _sources(plan: Plan) -> list[str]:
    """Return the files that lead to a record beside its configuration: the data's, the measures', given weights."""
    from compressbench.planning.stages import group_file

    files = [group_file("measure", name) for name, _ in plan.measures]
    if plan.model.weights is not None:
        files.append(Path(plan.model.weights).expanduser().absolute())
    return plan.dataset.sources() + [str(file) for file in files if file and file.is_file()]


def _join_sweep(record: RunRecord, folder: Path, outputs: Path, overrides: list[str]) -> None:
    """Note, in the record and for the summary, that this run is a point of the sweep that is going on."""
    if SWEEP not in os.environ:
        return
    sweep = json.loads(os.environ[SWEEP])
    values = dict(override.lstrip("+").split("=", 1) for override in overrides if "=" in override)
    record.sweep, record.swept = sweep["id"], {key: values[key] for key in sweep["keys"] if key in values}
    write_atomically(folder / RECORD, record.to_json())
    write_atomically(sweep_folder(outputs, record.sweep) / POINTS / record.plan_id, str(folder.relative_to(outputs)))


def sweep_folder(outputs: Path, sweep: str) -> Path:
    """Return where a sweep keeps what belongs to all its runs."""
    return outputs / "sweeps" / sweep


def store_of(given: Settings) -> Store:
    """Return the MLflow store a configuration names."""
    from compressbench.tracking.store import chosen

    tracking = given.tracking
    return chosen(given.folder, tracking.uri, tracking.timeout_s, tracking.retries, tracking.deadline_s)
