"""A run's folder says in words what lies in it, and is found again under that name or an older one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from compressbench.running.folders import RECORD, run_folder
from compressbench.running.progress import SilentProgress
from compressbench.running.run import run
from tests.running.plans import plan


def test_a_folder_is_named_by_dataset_protocol_seed_and_the_first_digits_of_the_identity(tmp_path: Path) -> None:
    whole = plan(seed=3)
    wanted = tmp_path / "runs" / "tests" / "lenet" / f"synthetic_custom_seed3_{whole.plan_id()[:8]}"
    assert run_folder(tmp_path, whole) == wanted


def test_a_name_that_is_no_name_of_a_folder_becomes_one(tmp_path: Path) -> None:
    odd = plan(dataset=replace(plan().dataset, name="my pets/2024 (%20)" + "x" * 300))
    name = run_folder(tmp_path, odd).name
    assert name.startswith("my-pets-2024-20-xxx")
    assert len(name) < 100


def test_a_run_stays_where_it_lies_whatever_it_is_called_since(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under the whole identity, as older versions named it, and if the protocol is another one."""
    whole = plan(stages=plan().stages[:1])
    first = run(whole, tmp_path, SilentProgress())
    monkeypatch.setattr("compressbench.running.stage_context.train", None)  # calling it would fail
    folder = run_folder(tmp_path, whole)
    folder = folder.rename(folder.with_name(whole.plan_id()))
    assert run_folder(tmp_path, whole) == folder
    assert run(whole, tmp_path, SilentProgress()).to_json() == first.to_json()
    folder = folder.rename(folder.with_name(f"mine_{whole.plan_id()[:8]}"))
    assert run(replace(whole, protocol="steps_160"), tmp_path, SilentProgress()).protocol == "steps_160"
    assert [path.parent for path in tmp_path.glob(f"runs/**/{RECORD}")] == [folder]
