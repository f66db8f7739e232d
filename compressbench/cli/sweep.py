"""What a sweep does beside its runs: the summary of all of them."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from compressbench.cli.job import POINTS, SWEEP, store_of, sweep_folder
from compressbench.core.atomic import write_atomically
from compressbench.core.identity import digest
from compressbench.core.record import RunRecord
from compressbench.running.folders import RECORD

WHERE = ("outputs=", "tracking=", "tracking.", "hydra")
"""Overrides that say where and how a sweep is run, not what its results are."""


def swept(overrides: list[str], config_dir: str | None, launch: Callable[[], int]) -> int:
    """Run `launch`, then summarise the runs it made; return its exit code.

    The same command is the same sweep: started again after a kill, it goes on, and its summary is replaced.
    """
    from compressbench.planning.compose import config_loader
    from compressbench.planning.diagnose import composed
    from compressbench.planning.settings import settings
    from compressbench.planning.swept import read_sweep

    sweep = read_sweep(overrides, config_loader(config_dir))
    keys = list(sweep.values)
    recipe = [f"recipe={name}" for name in sweep.values.get("recipe", [])[:1]]
    given = settings(composed([*sweep.fixed, *recipe], config_dir))
    name = sweep_id(overrides)
    folder = sweep_folder(given.folder, name)
    shutil.rmtree(folder / POINTS, ignore_errors=True)  # those of a recipe that was another one then
    os.environ[SWEEP] = json.dumps({"id": name, "keys": keys})
    try:
        code = launch()
    finally:
        del os.environ[SWEEP]
    records = [RunRecord.read(given.folder / note.read_text() / RECORD) for note in sorted(folder.glob(f"{POINTS}/*"))]
    if not records:
        return code
    records.sort(key=lambda record: (record.recipe, [_sortable(record.swept.get(key, "")) for key in keys]))
    print(f"sweep {name}: {len(records)} runs", file=sys.stderr)
    _show(records, folder, keys)
    if given.tracking.enabled:
        from compressbench.tracking.link import chart_link
        from compressbench.tracking.sweep import send_sweep

        store = store_of(given)
        if send_sweep(name, records, store, folder):
            print(f"compressbench ui   shows its curve at {chart_link(store, folder, name)}")
    return code


def sweep_id(overrides: list[str]) -> str:
    """Return the identity of a sweep: of all that was written but where and how it is run."""
    return digest(sorted(override for override in overrides if not override.startswith(WHERE)), length=8)


def _show(records: list[RunRecord], folder: Path, keys: list[str]) -> None:
    """Leave the sweep's table and its plot in its folder. What goes wrong here costs no result."""
    from compressbench.reporting.files import sweep_files
    from compressbench.reporting.plot import plot

    try:
        for name, text in sweep_files(records).items():
            write_atomically(folder / name, text)
        picture = plot(records, folder / "top1_against_cost.png", f"sweep over {', '.join(keys)}")
        print(f"plot: {picture}")
    except Exception as error:
        print(f"the plot or the table of the sweep is missing: {error}", file=sys.stderr)


def _sortable(value: str) -> tuple[float, str]:
    try:
        return float(value), ""
    except ValueError:
        return float("inf"), value
