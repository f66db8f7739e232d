"""Links into MLflow's pages."""

from __future__ import annotations

from pathlib import Path

from compressbench.tracking import journal
from compressbench.tracking.store import Store
from compressbench.tracking.view import RESULTS, key_of_sweep

MODE = "workflowType=machine_learning"
"""Without it MLflow opens with its pages for chat applications."""


def address(store: Store, host: str = "127.0.0.1", port: int = 5000) -> str:
    """Return where the pages of `store` are: a server's own, else those that `compressbench ui` serves."""
    return store.name if store.is_server else f"http://{host}:{port}"


def run_link(store: Store, folder: Path) -> str | None:
    """Return the page of the run whose record lies in `folder`; None if it was never sent to `store`."""
    entry = _entry(store, folder)
    return f"{address(store)}/#/experiments/{entry.experiment_id}/runs/{entry.run_id}?{MODE}" if entry else None


def chart_link(store: Store, folder: Path, sweep: str) -> str | None:
    """Return the charts of the runs of one sweep, whose summary's journal lies in `folder`; None if never sent."""
    entry = _entry(store, folder)
    if entry is None:
        return None
    return f"{list_link(address(store), entry.experiment_id, key_of_sweep(sweep))}&compareRunsMode=CHART"


def list_link(where: str, experiment_id: str, view: str = RESULTS) -> str:
    """Return the run list of an experiment with the columns of a saved view. where: `address` of the store."""
    return f"{where}/#/experiments/{experiment_id}/runs?{MODE}&viewStateShareKey={view}"


def _entry(store: Store, folder: Path) -> journal.Entry | None:
    entry = journal.read(folder)
    return entry if entry and entry.run_id and entry.uri == store.name else None
