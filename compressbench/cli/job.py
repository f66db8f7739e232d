"""One run of `compressbench run`, in this process or in a launcher's worker."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compressbench.core.atomic import write_atomically
from compressbench.core.faults import Fault, PlanError, RunError, check_memory
from compressbench.core.parent import end_with_announced
from compressbench.core.record import RunRecord
from compressbench.running import finished
from compressbench.running.folders import RECORD
from compressbench.running.room import sweep_left_behind

if TYPE_CHECKING:
    from omegaconf import DictConfig
    from rich.console import Console

    from compressbench.core.plan import Plan
    from compressbench.planning.settings import Settings
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
    from compressbench.tracking.courier import courier
    from compressbench.tracking.link import run_link
    from compressbench.tracking.send import send

    warnings.formatwarning = lambda message, *_: f"warning: {message}\n"
    printer, given = console(), settings(config)
    outputs = given.folder
    end_with_announced()
    sweep_left_behind(outputs)
    identity = _identity(OmegaConf.to_container(config, resolve=True), overrides)
    found, messenger = finished.recall(identity, outputs), None
    if found is None:
        if given.tracking.enabled:
            messenger = courier(store_of(given), config.recipe.rpartition("/")[0] or ".")
        record, folder = _run(config, overrides, given, identity, printer)
    else:
        record, folder = found
        printer.print(f"{record.recipe} seed {record.seed} is finished already; nothing is trained again.")
    _join_sweep(record, folder, outputs, overrides)
    from compressbench.reporting.files import run_files
    from compressbench.reporting.run_table import run_table

    for name, text in run_files(record).items():
        write_atomically(folder / name, text)
    if given.tracking.enabled:
        store = store_of(given)
        if messenger.send(record, folder) if messenger else send(record, folder, store):
            printer.print(f"compressbench ui   shows it at {run_link(store, folder)}", style="dim", highlight=False)
    printer.print(run_table(record))
    printer.print(f"record and weights: {folder}", style="dim", highlight=False)
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


def _run(
    config: DictConfig, overrides: list[str], given: Settings, identity: dict[str, Any], console: Console
) -> tuple[RunRecord, Path]:
    check_memory()
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
    with ConsoleProgress(console) as progress:
        record = run(plan, outputs, progress, device)
    folder = run_folder(outputs, plan)
    finished.remember(identity, outputs, folder, _sources(plan))
    return record, folder


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
