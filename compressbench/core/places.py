"""Folders that belong to the machine, not to a run."""

from __future__ import annotations

import os
from pathlib import Path


def machine_cache() -> Path:
    """Return the folder named by COMPRESSBENCH_CACHE, else ~/.cache/compressbench.

    What lies there only saves time: decoded images.
    """
    return Path(os.environ.get("COMPRESSBENCH_CACHE") or "~/.cache/compressbench").expanduser()
