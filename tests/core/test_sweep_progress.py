"""How far a sweep is, by what its processes noted."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from compressbench.core.process import Process, _born
from compressbench.core.sweep import Outcome, SweepRecord
from compressbench.core.sweep_progress import FOLDER, Work, began, broken_off, ended, read_progress, settle

POINTS = [{"seed": str(seed)} for seed in range(3)]
NOTE = SweepRecord("s1", ["recipe=row", "seed=0,1,2"], [], started="2026-01-31T14:05:00+00:00", points=POINTS)
DONE = Outcome(1, POINTS[0], run="table5/row/abc")


def states(folder: Path) -> list[str]:
    return [each.state for each in read_progress(folder).states]


def log_of(process: Process, folder: Path, number: int) -> None:
    """Note, as another process would have, that it begins a point."""
    entry = {"begins": asdict(Work(number, process, NOTE.started))}
    (folder / FOLDER).mkdir(exist_ok=True)
    (folder / FOLDER / f"{process.machine}-{process.number}.jsonl").write_text(json.dumps(entry) + "\n")


@pytest.fixture
def other() -> Iterator[Process]:
    """Another process of this machine."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield replace(Process.current(), number=process.pid, born=_born(process.pid))
    process.kill()
    process.wait()


def test_points_are_not_started_then_running_then_ended(tmp_path: Path) -> None:
    NOTE.write(tmp_path)
    assert states(tmp_path) == ["not started"] * 3
    began(tmp_path, 1)
    assert states(tmp_path) == ["running", "not started", "not started"]
    ended(tmp_path, DONE)
    began(tmp_path, 2)
    ended(tmp_path, Outcome(2, POINTS[1], 2, "ratio is 1.5"))
    began(tmp_path, 3)
    broken_off(tmp_path, 3)
    assert states(tmp_path) == ["finished", "failed", "interrupted"]
    assert [outcome.error for outcome in read_progress(tmp_path).note.outcomes] == ["", "ratio is 1.5"]


def test_a_point_of_a_killed_process_is_interrupted(other: Process, tmp_path: Path) -> None:
    NOTE.write(tmp_path)
    log_of(other, tmp_path, 2)
    assert states(tmp_path)[1] == "running"
    assert read_progress(tmp_path).living == [other]
    assert other.end(grace_s=10)
    assert not other.lives
    assert states(tmp_path)[1] == "interrupted"
    assert read_progress(tmp_path).living == []
    assert not other.end(grace_s=10)


def test_a_later_process_of_the_same_number_is_not_taken_for_it(other: Process, tmp_path: Path) -> None:
    NOTE.write(tmp_path)
    earlier = replace(other, born="17")
    log_of(earlier, tmp_path, 2)
    assert states(tmp_path)[1] == "interrupted"
    assert not earlier.end(grace_s=0)
    assert other.lives


def test_what_another_machine_works_at_counts_as_running_until_it_has_an_outcome(tmp_path: Path) -> None:
    NOTE.write(tmp_path)
    log_of(Process("01234567", "node7", 123, "4", job="42"), tmp_path, 1)
    assert states(tmp_path)[0] == "running"
    assert read_progress(tmp_path).living[0].words == "process 123 on node7 (job 42)"
    settle(tmp_path, read_progress(tmp_path).note)
    assert states(tmp_path)[0] == "running"
    settle(tmp_path, replace(NOTE, outcomes=[DONE]))
    assert states(tmp_path)[0] == "finished"
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.json"]


def test_what_was_finished_stays_so_whatever_a_second_start_comes_to(tmp_path: Path) -> None:
    replace(NOTE, outcomes=[DONE]).write(tmp_path)
    began(tmp_path, 1)
    ended(tmp_path, Outcome(1, POINTS[0], 1, "the disk is full"))
    assert states(tmp_path)[0] == "finished"


def test_a_line_that_a_kill_cut_off_is_passed_over(tmp_path: Path) -> None:
    NOTE.write(tmp_path)
    began(tmp_path, 1)
    ended(tmp_path, DONE)
    [log] = (tmp_path / FOLDER).iterdir()
    with log.open("a") as file:
        file.write('{"begins": {"numb')
    assert states(tmp_path) == ["finished", "not started", "not started"]


def test_what_cannot_be_noted_costs_no_result(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match="how far the sweep is cannot be noted"):
        began(tmp_path, 1)
