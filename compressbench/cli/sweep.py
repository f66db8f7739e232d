"""What a sweep does beside its runs: it ends with its answer."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from compressbench.cli.job import console, store_of
from compressbench.core.atomic import write_atomically
from compressbench.core.record import RunRecord
from compressbench.core.sweep import Outcome, SweepRecord, sweep_folder

Ended = Callable[[list[Outcome]], None]


def swept(overrides: list[str], config_dir: str | None, launch: Callable[[Ended], int]) -> int:
    """Run `launch`, then print and keep the answer of the runs it made; return its exit code.

    The same command is the same sweep: started again after a kill, it goes on, and its answer is replaced.
    """
    from compressbench.planning.compose import config_loader
    from compressbench.planning.diagnose import composed
    from compressbench.planning.settings import settings
    from compressbench.planning.swept import read_sweep

    sweep = read_sweep(overrides, config_loader(config_dir))
    recipe = [f"recipe={name}" for name in sweep.values.get("recipe", [])[:1]]
    given = settings(composed([*sweep.fixed, *recipe], config_dir))
    outcomes: list[Outcome] = []
    code = launch(outcomes.extend)
    note, folder = SweepRecord(sweep.identity, overrides, outcomes), sweep_folder(given.folder, sweep.identity)
    note.write(folder)
    records = note.records(given.folder)
    _show(note, records, folder)
    if records and given.tracking.enabled:
        from compressbench.tracking.link import chart_link
        from compressbench.tracking.sweep import send_sweep

        store = store_of(given)
        if send_sweep(note.sweep, records, store, folder):
            print(f"compressbench ui   shows its curve at {chart_link(store, folder, note.sweep)}")
    return code


def _show(sweep: SweepRecord, records: list[RunRecord], folder: Path) -> None:
    """Print the answer, and leave it and its plot in the sweep's folder. What goes wrong here costs no result."""
    from compressbench.reporting.files import sweep_files
    from compressbench.reporting.plot import plot
    from compressbench.reporting.render import as_rich
    from compressbench.reporting.sweep_page import sweep_page

    try:
        page = sweep_page(sweep, records)
        console().print(as_rich(page))
        for name, text in sweep_files(sweep, records).items():
            write_atomically(folder / name, text)
        if records:
            print(f"plot: {plot(records, folder / 'top1_against_cost.png', page.title)}")
    except Exception as error:
        print(f"the plot or the table of the sweep is missing: {error}", file=sys.stderr)
    print(f"compressbench report {sweep.sweep}   shows this again; tables: {folder}")
