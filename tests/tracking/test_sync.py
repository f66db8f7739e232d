"""Sending what is missing."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from compressbench.core.sweep import Outcome, SweepRecord
from compressbench.tracking import journal
from compressbench.tracking.send import send
from compressbench.tracking.store import Store, client, embedded
from compressbench.tracking.sweep import send_sweep
from compressbench.tracking.sync import sync
from tests.tracking.records import record, written

NOWHERE = Store("http://127.0.0.1:9", timeout_s=1, retries=0)  # the discard port: nothing listens there


def test_only_what_is_missing_is_sent(store: Store, outputs: Path) -> None:
    runs = [record(ratio) for ratio in (0.3, 0.5, 0.7)]
    folders = [written(run, outputs) for run in runs]
    first = send(runs[0], folders[0], store)
    assert sync(outputs, store, everything=True) == [(store.name, 2, 0)]
    assert sync(outputs, store, everything=True) == []
    assert journal.read(folders[0]).run_id == first


def test_a_sweep_s_summary_is_sent_later_too(store: Store, outputs: Path) -> None:
    runs = [record(ratio, sweep="s1") for ratio in (0.3, 0.5)]
    for run in runs:
        written(run, outputs)
    folders = [f"{run.table}/{run.row}/{run.plan_id}" for run in runs]
    outcomes = [Outcome(number, runs[number - 1].swept, run=run) for number, run in enumerate(folders, start=1)]
    SweepRecord("s1", ["recipe=table5/mnist_l1norm"], outcomes).write(outputs / "sweeps" / "s1")
    assert send_sweep("s1", runs, NOWHERE, outputs / "sweeps" / "s1") is None
    assert sync(outputs, store, everything=True) == [(store.name, 3, 0)]
    api = client(store)
    found = api.search_runs([api.get_experiment_by_name("table5").experiment_id], "tags.summary_of_sweep = 's1'")
    assert len(found) == 1


def test_a_store_that_is_down_is_given_up_soon(outputs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for seed in range(20):
        written(record(seed=seed), outputs)
    started = time.monotonic()
    assert sync(outputs, NOWHERE, everything=True) == [(NOWHERE.name, 0, 20)]
    assert time.monotonic() - started < 10
    assert capfd.readouterr().err.count("\n") == 3


def test_one_record_that_cannot_be_sent_does_not_hold_up_the_others(
    store: Store, outputs: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = record(0.1)
    folder = written(broken, outputs)
    (folder / "tracked.lock").mkdir()  # what it needs beside the record cannot be made
    written(record(0.9), outputs)
    assert sync(outputs, store, everything=True) == [(store.name, 1, 1)]
    assert str(folder) in capfd.readouterr().err


def test_runs_go_to_the_store_they_were_meant_for(store: Store, outputs: Path, template: Path) -> None:
    """One was meant for another store, one was sent to this one, one was never tracked: none goes to two places."""
    there = outputs / "elsewhere"
    there.mkdir()
    shutil.copy(template, there / "mlflow.db")
    other = embedded(there)
    runs = [record(ratio) for ratio in (0.3, 0.5, 0.7)]
    folders = [written(run, outputs) for run in runs]
    journal.intend(folders[0], other.name)
    send(runs[1], folders[1], store)
    assert sync(outputs, store, everything=False) == [(other.name, 1, 0), (store.name, 1, 0)]
    assert [journal.read(folder).uri for folder in folders] == [other.name, store.name, store.name]
    assert sync(outputs, store, everything=False) == []


def test_a_store_that_cannot_be_used_any_more_is_named(
    outputs: Path, store: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = written(record(), outputs)
    journal.intend(folder, "databricks")
    assert sync(outputs, store, everything=False) == [("databricks", 0, 1)]
    assert "databricks" in capfd.readouterr().err
