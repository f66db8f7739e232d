"""The sweeps that were started: how far each is, what becomes of its points, going on with one, ending one."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from compressbench.core.errors import PlanError, RunError, suggestion
from compressbench.core.process import Process
from compressbench.core.sweep import NAME, sweep_folder
from compressbench.core.sweep_progress import STATES, Progress, read_progress

if TYPE_CHECKING:
    from rich.console import Group

    from compressbench.app.sweep import Swept
    from compressbench.planning.launch import Job

GRACE_S = 10.0
"""How long a process of a cancelled sweep may take to end by itself."""


def sweeps(outputs: Path) -> list[Progress]:
    """Return every sweep below the folder of the runs, the newest first. One whose note is damaged is named in a
    warning, and left out."""
    found = []
    for path in sorted((outputs / "sweeps").glob(f"*/{NAME}")):
        try:
            found.append(read_progress(path.parent))
        except (OSError, ValueError) as error:
            warnings.warn(f"a sweep is left out: {error}; its command, given again, makes it anew", stacklevel=2)
    return sorted(found, key=lambda each: each.note.started, reverse=True)


def known(name: str, outputs: Path) -> str | None:
    """Return the id of the sweep that is called so: by its id, the name its user gave it, or the beginning of its id.

    None if there is none. PlanError if there are several.
    """
    if (sweep_folder(outputs, name) / NAME).is_file():
        return name
    there = sweeps(outputs)
    named = [each for each in there if each.note.name == name]
    for fits in (named, [each for each in there if each.note.sweep.startswith(name)]):
        if len(fits) > 1:
            which = ", ".join(f"{each.note.sweep} (of {each.note.started})" for each in fits)
            raise PlanError.of("sweep", f"{name!r} may be any of {which}; say its id")
        if fits:
            return fits[0].note.sweep
    return None


def find(name: str, outputs: Path) -> Progress:
    """Return the sweep that is called so, as `known` finds it. PlanError, with the nearest name, if there is none."""
    sweep = known(name, outputs)
    if sweep is None:
        notes = [each.note for each in sweeps(outputs)]
        names = [called for note in notes for called in (note.sweep, note.name) if called]
        near = suggestion(name, names) if names else "no sweep was started"
        raise PlanError.of("sweep", f"there is no {name!r} below {outputs / 'sweeps'}; {near}")
    try:
        return read_progress(sweep_folder(outputs, sweep))
    except (OSError, ValueError) as error:
        raise PlanError.of("sweep", str(error)) from error


def listed(outputs: Path) -> Group | None:
    """Return a row a sweep, for a console; None if there is none."""
    from compressbench.reporting.render import as_rich
    from compressbench.reporting.sweep_list import list_page

    there = sweeps(outputs)
    return as_rich(list_page(there)) if there else None


def status(name: str, outputs: Path, only: Sequence[str] = ()) -> Group:
    """Return a row a point of a sweep, for a console. only: states (`core.sweep_progress.STATES`) to show.

    PlanError for a state that there is not.
    """
    from compressbench.reporting.render import as_rich
    from compressbench.reporting.sweep_list import status_page

    for state in only:
        if state not in STATES:
            raise PlanError.of("--only", f"there is no state {state!r}; {suggestion(state, STATES)}")
    return as_rich(status_page(find(name, outputs), only))


def resume(name: str, outputs: Path, how: Sequence[str], job: Job) -> Swept:
    """Start a sweep again, from where it was started; what is finished is not computed again.

    how: overrides that say how it is run (a launcher, tracking), in the place of those it was started with. PlanError
    for others, if the sweep is running, or if what it says computes something else by now.
    """
    from compressbench.app.sweep import carry_out_sweep
    from compressbench.planning.launch import read_sweep, sweep_id

    found = find(name, outputs)
    note, keys = found.note, {text.partition("=")[0] for text in how}
    if found.living:
        busy = ", ".join(process.words for process in found.living)
        raise PlanError.of("sweep", f"{note.sweep} is running ({busy}); `compressbench sweep cancel` ends it")
    if not note.overrides:
        raise PlanError.of("sweep", f"{note.sweep} is of an older version, whose notes do not say what to start")
    replaced = tuple(f"{key}{end}" for key in keys for end in ("=", "." if key == "launcher" else "="))
    overrides = [*(text for text in note.overrides if not text.startswith(replaced)), *how]
    if sweep_id(overrides) != sweep_id(note.overrides):
        raise PlanError.of(" ".join(how), "is another sweep; allowed: how it is run, e.g. launcher=local")
    os.environ["COMPRESSBENCH_OUTPUTS"] = str(outputs)
    try:
        os.chdir(note.folder or ".")
    except OSError as error:
        raise PlanError.of("sweep", f"{note.sweep} was started in {note.folder}: {error.strerror}") from error
    if (now := read_sweep(overrides, note.config_dir).identity) != note.sweep:
        what = f"{note.sweep} would be another sweep now ({now}): what its recipe sweeps was changed"
        raise PlanError.of("sweep", f"{what}; start it with `compressbench run -m`")
    return carry_out_sweep(overrides, job, note.config_dir)


def cancel(name: str, outputs: Path) -> tuple[list[Process], list[Process]]:
    """End the processes of a sweep that run on this machine; return them, and those of other machines, which are left.

    What was finished stays, and a stage that was being trained goes on from its last epoch. RunError for a process that
    may not be ended.
    """
    found = find(name, outputs)
    living = found.living
    launcher = found.note.process
    try:
        here = [process for process in living if process.here]
        if launcher in here:
            launcher.end(GRACE_S)  # who lets go of its workers
        for process in here:
            process.end(GRACE_S)
    except OSError as error:
        raise RunError(f"a process of the sweep cannot be ended: {error.strerror}") from error
    others = [process for process in living if not process.here]
    if launcher and not launcher.here and launcher not in others and launcher.lives is None:
        others.insert(0, launcher)
    return here, others
