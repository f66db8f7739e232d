"""Links into MLflow's pages, and the words that say how to open them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from compressbench.tracking import journal
from compressbench.tracking.store import Store
from compressbench.tracking.view import RESULTS, key_of_sweep

HOST, PORT = "127.0.0.1", 5000
MODE = "workflowType=machine_learning"
"""Without it MLflow opens with its pages for chat applications."""


def address(store: Store, host: str = HOST, port: int = PORT) -> str:
    """Return where the pages of `store` are: a server's own, else those that `compressbench ui` serves."""
    return store.uri if store.is_server else f"http://{host}:{port}"


def run_link(store: Store, folder: Path, host: str = HOST, port: int = PORT) -> str | None:
    """Return the page of the run whose record lies in `folder`; None if it was never sent to `store`."""
    entry = _entry(store, folder)
    if entry is None:
        return None
    return f"{address(store, host, port)}/#/experiments/{entry.experiment_id}/runs/{entry.run_id}?{MODE}"


def compare_link(store: Store, folders: Sequence[Path], host: str = HOST, port: int = PORT) -> str | None:
    """Return the page that compares the runs in `folders`, side by side; None if none was sent to `store`."""
    entries = [entry for folder in folders if (entry := _entry(store, folder))]
    if not entries:
        return None
    runs = quote(json.dumps([entry.run_id for entry in entries], separators=(",", ":")))
    experiments = sorted({entry.experiment_id for entry in entries})
    shown = quote(json.dumps(experiments, separators=(",", ":")))
    return f"{address(store, host, port)}/#/compare-runs?runs={runs}&experiments={shown}&{MODE}"


def chart_link(store: Store, folder: Path, sweep: str = "", host: str = HOST, port: int = PORT) -> str | None:
    """Return the charts of the experiment the record in `folder` went to, or of the runs of one sweep."""
    entry = _entry(store, folder)
    if entry is None:
        return None
    shown = f"compareRunsMode=CHART&viewStateShareKey={quote(key_of_sweep(sweep) if sweep else RESULTS)}"
    return f"{address(store, host, port)}/#/experiments/{entry.experiment_id}/runs?{MODE}&{shown}"


def list_link(store: Store, folder: Path, sweep: str = "", host: str = HOST, port: int = PORT) -> str | None:
    """Return the run list of that experiment, with the columns of our view, or of the runs of one sweep."""
    entry = _entry(store, folder)
    if entry is None:
        return None
    shown = f"viewStateShareKey={quote(key_of_sweep(sweep) if sweep else RESULTS)}"
    return f"{address(store, host, port)}/#/experiments/{entry.experiment_id}/runs?{MODE}&{shown}"


def opening(store: Store, link: str) -> str:
    """Return the line that tells a person how to open `link`."""
    return f"MLflow: {link}" if store.is_server else f"MLflow: `compressbench ui`, then {link}"


def _entry(store: Store, folder: Path) -> journal.Entry | None:
    entry = journal.read(folder)
    return entry if entry and entry.uri == store.name else None
