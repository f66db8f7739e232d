"""Who watches a run hears of its start, every epoch and every stage, in the words of its record."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from compressbench.core.record import RunRecord
from compressbench.running.progress import SilentProgress
from compressbench.running.run import CPU, run
from tests.running.plans import plan


class Watcher:
    def __init__(self) -> None:
        self.starts: list[RunRecord] = []
        self.heard: list[tuple[str, dict[str, float]]] = []

    def started(self, record: RunRecord, folder: Path) -> None:
        assert not (folder / "record.json").exists()
        self.starts.append(record)

    def reached(self, stage: str, figures: dict[str, float]) -> None:
        self.heard.append((stage, figures))


def watched(outputs: Path, **changes: object) -> tuple[Watcher, RunRecord]:
    watcher = Watcher()
    return watcher, run(plan(**changes), outputs, SilentProgress(), CPU, watcher)


def in_order(record: RunRecord) -> list[tuple[str, dict[str, float]]]:
    return [(stage.name, figures) for stage in record.stages for figures in [*stage.curve, stage.metrics]]


def test_all_of_the_record_is_heard_in_order(tmp_path: Path) -> None:
    watcher, record = watched(tmp_path, changed=(("stages.prune.ratio", "0.5"),))
    (start,) = watcher.starts
    assert (start.status, start.stages, start.plan_id) == ("running", [], record.plan_id)
    assert start.changed == record.changed == {"stages.prune.ratio": "0.5"}
    assert watcher.heard == in_order(record)


def test_stages_that_are_there_already_are_heard_of_too(tmp_path: Path) -> None:
    whole = plan()
    watched(tmp_path, recipe="tests/part", stages=whole.stages[:1])
    watcher, record = watched(tmp_path)
    assert record.stages[0].cached
    assert watcher.heard == in_order(record)


def test_nobody_hears_of_a_run_that_is_finished(tmp_path: Path) -> None:
    watched(tmp_path)
    watcher, _ = watched(tmp_path)
    assert watcher.starts == watcher.heard == []


def test_an_interrupted_run_tells_of_the_epochs_before_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compressbench.training.loop.SECONDS_BETWEEN_CHECKPOINTS", 0.0)

    class Interrupting(Watcher):
        def reached(self, stage: str, figures: dict[str, float]) -> None:
            super().reached(stage, figures)
            if figures.get("epoch") == 2:
                raise KeyboardInterrupt

    first = Interrupting()
    with pytest.raises(KeyboardInterrupt):
        run(plan(), tmp_path, SilentProgress(), CPU, first)
    watcher, record = watched(tmp_path)
    assert watcher.heard == in_order(record)
    assert watcher.heard[0] == first.heard[0]


def test_names_of_what_differs_are_no_part_of_the_identity() -> None:
    whole = plan()
    assert replace(whole, changed=(("training", "reduced"),)).plan_id() == whole.plan_id()
