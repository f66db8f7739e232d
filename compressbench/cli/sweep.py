"""What a sweep does beside its runs: the summary of all of them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from compressbench.cli.job import SWEEP, store_of, sweep_folder
from compressbench.core.identity import digest
from compressbench.core.record import RunRecord
from compressbench.running.folders import RECORD

WHERE = ("outputs=", "tracking=", "tracking.")
"""Overrides that say where results go, not what they are."""


def swept(words: list[str], launch: Callable[[], int]) -> int:
    """Run `launch`, then summarise the runs it made; return its exit code.

    The same command is the same sweep: started again after a kill, it goes on, and its summary is replaced.
    """
    from compressbench.planning.compose import compose
    from compressbench.planning.swept import swept_keys

    overrides = [word for word in words if not word.startswith("-") and "=" in word]
    keys = swept_keys(overrides)
    sweep = digest(sorted(word for word in overrides if not word.startswith(WHERE)), length=8)
    os.environ[SWEEP] = json.dumps({"id": sweep, "keys": keys})
    code = launch()
    config = compose([word for word in overrides if word.startswith(WHERE)])
    outputs = Path(config.outputs).expanduser().absolute()
    folder = sweep_folder(outputs, sweep)
    records = [RunRecord.read(outputs / note.read_text() / RECORD) for note in sorted(folder.glob("points/*"))]
    records = [record for record in records if record.sweep == sweep]
    if not records:
        return code
    records.sort(key=lambda record: (record.recipe, [_sortable(record.swept.get(key, "")) for key in keys]))
    print(f"sweep {sweep}: {len(records)} runs", file=sys.stderr)
    if config.tracking.enabled:
        from compressbench.tracking.link import chart_link
        from compressbench.tracking.sweep import send_sweep

        store = store_of(config, outputs)
        if send_sweep(sweep, records, store, folder):
            print(f"compressbench ui   shows its curve at {chart_link(store, folder, sweep)}")
    return code


def _sortable(value: str) -> tuple[float, str]:
    try:
        return float(value), ""
    except ValueError:
        return float("inf"), value
