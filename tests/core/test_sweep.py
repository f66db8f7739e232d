"""The words for a sweep, and the note of how its runs ended."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from compressbench.core.sweep import NAME, Outcome, Place, SweepRecord, are_numbers, shortened
from tests.core.test_record import RECORD


def test_a_run_is_called_by_its_number_and_what_was_swept() -> None:
    place = Place("s1", 2, 5, {"stages.prune.ratio": "0.3", "seed": "1"})
    assert place.name == "2 of 5, ratio=0.3 seed=1"
    assert Place("s1", 1, 1, {}).name == "1 of 1"


def test_keys_are_shortened_only_as_long_as_they_differ() -> None:
    assert shortened(["stages.train.training.lr", "seed"]) == ["lr", "seed"]
    assert shortened(["stages.train.training.lr", "stages.finetune.training.lr"]) == ["train.lr", "finetune.lr"]


def test_only_finite_numbers_stand_on_an_axis() -> None:
    assert are_numbers(["0.1", "1e-3", "7"])
    assert not are_numbers(["0.1", "l1_norm"])
    assert not are_numbers(["nan"])


def test_the_note_of_a_sweep_comes_back_as_it_was(tmp_path: Path) -> None:
    outcomes = [Outcome(1, {"seed": "0"}, run="table5/row/abc"), Outcome(2, {"seed": "1"}, 1, "the disk is full")]
    note = SweepRecord("s1", ["recipe=row", "seed=0,1"], outcomes)
    note.write(tmp_path)
    assert SweepRecord.read(tmp_path / NAME) == note


def test_the_records_of_a_sweep_are_those_of_its_runs_as_its_points(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "table5" / "row" / "abc"
    folder.mkdir(parents=True)
    shared = replace(RECORD, sweeps={"s1": {"seed": "0"}, "s2": {"ratio": "0.5"}})
    (folder / "record.json").write_text(shared.to_json())
    run = "table5/row/abc"
    outcomes = [Outcome(1, {"seed": "0"}, run=run), Outcome(2, {"seed": "0"}, run=run), Outcome(3, {}, 1, "failed")]
    assert SweepRecord("s1", [], outcomes).records(tmp_path) == [shared.in_sweep("s1")]


def test_a_note_that_listed_only_finished_runs_can_still_be_read(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text('{"sweep": "s1", "runs": ["table5/row/abc"]}')
    assert SweepRecord.read(tmp_path / NAME).outcomes == [Outcome(1, {}, run="table5/row/abc")]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"sweep": "s1", "overrides": [], "outcomes": [{"n": 1}]}'])
def test_what_is_no_note_is_refused_by_the_name_of_its_file(text: str, tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(text)
    with pytest.raises(ValueError, match=r"sweep\.json: not the note of a sweep"):
        SweepRecord.read(tmp_path / NAME)
