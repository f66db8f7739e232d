"""Folders that several rooms must find."""

from __future__ import annotations

import os
from pathlib import Path

SHORT_ID = 8
"""Digits of a plan's identity in the name of its folder."""


def machine_cache() -> Path:
    """Return the folder named by COMPRESSBENCH_CACHE, else ~/.cache/compressbench.

    What lies there only saves time: decoded images.
    """
    return Path(os.environ.get("COMPRESSBENCH_CACHE") or "~/.cache/compressbench").expanduser()


def outputs_folder(given: str | Path | None = None) -> Path:
    """Return the folder of the runs, absolute: the given one, else that of COMPRESSBENCH_OUTPUTS, else `outputs`."""
    return Path(given or os.environ.get("COMPRESSBENCH_OUTPUTS") or "outputs").expanduser().absolute()


def found_run(row: Path, plan_id: str) -> Path | None:
    """Return the folder of a run below its row's folder; None if it is not there.

    Named in words that end with the identity's first digits, or, by older versions, with the whole identity alone.
    """
    if (row / plan_id).is_dir():
        return row / plan_id
    return min((path for path in row.glob(f"*_{plan_id[:SHORT_ID]}") if path.is_dir()), default=None)
