"""Links into MLflow's pages."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qs

from compressbench.tracking import journal
from compressbench.tracking.journal import Entry
from compressbench.tracking.link import chart_link, compare_link, list_link, opening, run_link
from compressbench.tracking.store import Store, embedded


def sent(folder: Path, store: Store, run: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    journal.write(folder, Entry(store.name, "7", run, "digest"))
    return folder


def test_a_run_s_page(tmp_path: Path) -> None:
    store = embedded(tmp_path)
    folder = sent(tmp_path / "a", store, "abc")
    assert run_link(store, folder) == "http://127.0.0.1:5000/#/experiments/7/runs/abc?workflowType=machine_learning"
    assert run_link(store, folder, port=5001).startswith("http://127.0.0.1:5001/#/")


def test_what_was_never_sent_has_no_link(tmp_path: Path) -> None:
    store = embedded(tmp_path)
    folder = sent(tmp_path / "a", Store("http://elsewhere"), "abc")
    assert run_link(store, folder) is None
    assert chart_link(store, tmp_path) is None
    assert compare_link(store, [folder, tmp_path]) is None


def test_the_comparison_names_all_runs(tmp_path: Path) -> None:
    store = embedded(tmp_path)
    link = compare_link(store, [sent(tmp_path / name, store, name) for name in ("a", "b")])
    query = parse_qs(link.partition("?")[2])
    assert json.loads(query["runs"][0]) == ["a", "b"]
    assert json.loads(query["experiments"][0]) == ["7"]


def test_charts_and_list_open_our_view_or_the_sweep_s(tmp_path: Path) -> None:
    store = embedded(tmp_path)
    folder = sent(tmp_path / "a", store, "abc")
    assert "compareRunsMode=CHART&viewStateShareKey=sweep-s1" in chart_link(store, folder, "s1")
    assert list_link(store, folder).endswith("viewStateShareKey=results")


def test_a_server_has_pages_of_its_own(tmp_path: Path) -> None:
    store = Store("http://host:8080")
    link = run_link(store, sent(tmp_path / "a", store, "abc"))
    assert link.startswith("http://host:8080/#/")
    assert "compressbench ui" not in opening(store, link)
    assert "compressbench ui" in opening(embedded(tmp_path), link)
