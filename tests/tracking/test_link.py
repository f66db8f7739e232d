"""Links into MLflow's pages."""

from __future__ import annotations

from pathlib import Path

from compressbench.tracking import journal
from compressbench.tracking.journal import Entry
from compressbench.tracking.link import chart_link, run_link
from compressbench.tracking.store import Store, embedded


def sent(folder: Path, store: Store, run: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    journal.write(folder, Entry(store.name, "7", run, "digest"))
    return folder


def test_a_run_s_page(tmp_path: Path) -> None:
    store = embedded(tmp_path)
    folder = sent(tmp_path / "a", store, "abc")
    assert run_link(store, folder) == "http://127.0.0.1:5000/#/experiments/7/runs/abc?workflowType=machine_learning"


def test_what_was_never_sent_has_no_link(tmp_path: Path) -> None:
    store = embedded(tmp_path)
    folder = sent(tmp_path / "a", Store("http://elsewhere"), "abc")
    assert run_link(store, folder) is None
    assert chart_link(store, tmp_path, "s1") is None


def test_the_charts_open_with_the_view_of_their_sweep(tmp_path: Path) -> None:
    store = embedded(tmp_path)
    link = chart_link(store, sent(tmp_path / "a", store, "abc"), "s1")
    assert link is not None
    assert link.endswith("viewStateShareKey=sweep-s1&compareRunsMode=CHART")


def test_a_server_s_own_pages_are_named_without_its_password(tmp_path: Path) -> None:
    store = Store("http://me:secret@host:8080")
    link = run_link(store, sent(tmp_path / "a", store, "abc"))
    assert link is not None
    assert link.startswith("http://me@host:8080/#/")
