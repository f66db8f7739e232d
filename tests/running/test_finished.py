"""A configuration that was run leads to its record, as long as nothing it was made from has changed."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from compressbench.core.budget import Budget
from compressbench.core.record import RunRecord
from compressbench.running.finished import recall, remember
from compressbench.running.folders import RECORD, WEIGHTS, run_folder
from compressbench.running.progress import SilentProgress
from compressbench.running.run import run
from tests.running.plans import plan

CONFIG = {"recipe": "tests/lenet", "seed": 0}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A finished run, remembered, made from one file."""
    (tmp_path / "data").write_text("digits")
    whole = plan(stages=plan().stages[:1])
    run(whole, tmp_path, SilentProgress())
    found = run_folder(tmp_path, whole)
    remember(CONFIG, tmp_path, found, [str(tmp_path / "data")])
    return found


def test_the_same_configuration_finds_its_record(folder: Path, tmp_path: Path) -> None:
    found = recall(CONFIG, tmp_path)
    assert found is not None
    assert found[0].to_json() == RunRecord.read(folder / RECORD).to_json()
    assert found[1] == folder
    assert recall(CONFIG | {"seed": 1}, tmp_path) is None


def test_touched_data_is_looked_at_again(folder: Path, tmp_path: Path) -> None:
    os.utime(tmp_path / "data", ns=(1, 1))
    assert recall(CONFIG, tmp_path) is None


@pytest.mark.parametrize("name", [RECORD, WEIGHTS])
def test_a_result_that_was_deleted_is_not_finished(folder: Path, tmp_path: Path, name: str) -> None:
    (folder / name).unlink()
    assert recall(CONFIG, tmp_path) is None


def test_a_record_that_lacks_the_given_network_is_not_taken(folder: Path, tmp_path: Path) -> None:
    record = RunRecord.read(folder / RECORD)
    record.plan["model"]["weights"] = "own.pt"
    (folder / RECORD).write_text(record.to_json())
    remember(CONFIG, tmp_path, folder, [])
    assert recall(CONFIG, tmp_path) is None
    (folder / RECORD).write_text(replace(record, given=record.stages[0]).to_json())
    remember(CONFIG, tmp_path, folder, [])
    assert recall(CONFIG, tmp_path) is not None


def test_a_record_that_another_budget_judged_since_is_not_taken(folder: Path, tmp_path: Path) -> None:
    whole = plan(stages=plan().stages[:1], budget=Budget({"params": 10}))
    assert run(whole, tmp_path, SilentProgress()).missed
    assert recall(CONFIG, tmp_path) is None
    assert run(replace(whole, budget=Budget()), tmp_path, SilentProgress()).missed == []


def test_after_a_change_of_the_code_the_long_way_is_taken(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert recall(CONFIG, tmp_path) is not None
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.setattr("compressbench.__file__", str(package / "__init__.py"))
    remember(CONFIG, tmp_path, folder, [])
    assert recall(CONFIG, tmp_path) is not None
    (package / "technique.py").write_text("version = 2")
    assert recall(CONFIG, tmp_path) is None
