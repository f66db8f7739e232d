"""A stage's file says where its network comes from and what was measured, and is as long as its size says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from compressbench.core.data import measured_on
from compressbench.core.plan import Limits
from compressbench.core.record import RunRecord
from compressbench.packing import packed_file
from compressbench.running import run as running
from compressbench.running.progress import SilentProgress
from compressbench.running.provenance import fed, origin
from compressbench.running.run import run
from tests.running.plans import plan


def files(outputs: Path, record: RunRecord) -> dict[str, Path]:
    """Return the file of every stage by its name."""
    return {stage.name: outputs / "cache" / "stages" / stage.stage_id / "model.cbp" for stage in record.stages}


def test_the_note_holds_the_stages_so_far_and_what_was_measured(tmp_path: Path) -> None:
    record = run(plan(), tmp_path, SilentProgress())
    final = packed_file.note(files(tmp_path, record)["finetune"])
    assert final["seed"] == 0
    assert list(final["stages"]) == ["train", "prune", "finetune"]
    assert final["stages"]["prune"]["technique"] == "pruning/l1_norm"
    assert final["stages"]["prune"]["ratio"] == 0.5
    assert final["dataset"]["name"] == "synthetic"
    measured = dict(record.final.metrics)
    length = measured.pop("size_bytes")  # a file cannot hold its own length
    assert final["measured"] == measured
    assert length == files(tmp_path, record)["finetune"].stat().st_size
    assert list(packed_file.note(files(tmp_path, record)["prune"])["stages"]) == ["train", "prune"]


def test_the_size_of_every_stage_is_the_length_of_its_file(tmp_path: Path) -> None:
    record = run(plan(), tmp_path, SilentProgress())
    for stage in record.stages:
        assert stage.metrics["size_bytes"] == files(tmp_path, record)[stage.name].stat().st_size


def test_the_same_plan_in_another_folder_gives_the_same_bytes(tmp_path: Path) -> None:
    records = {name: run(plan(), tmp_path / name, SilentProgress()) for name in ("first", "second")}
    first, second = (files(tmp_path / name, record) for name, record in records.items())
    assert [path.read_bytes() for path in first.values()] == [path.read_bytes() for path in second.values()]


def test_the_note_says_how_the_network_is_fed_what_it_answers_and_what_it_was_measured_on(tmp_path: Path) -> None:
    whole = plan()
    record = run(whole, tmp_path, SilentProgress())
    note = packed_file.note(files(tmp_path, record)["finetune"])
    assert note["preprocessing"] == {"channels": 1, "size": [28, 28], "mean": [0.5], "std": [0.25]}
    assert note["classes"] == 4
    assert note["measured_on"] == measured_on(whole.dataset, None)
    assert fed(plan(limits=Limits(examples=40)))["measured_on"] != note["measured_on"]  # other test pictures


def test_what_is_decisive_is_noted_and_where_data_lies_is_not() -> None:
    whole = plan(limits=Limits(examples=40))
    assert origin(whole, 0)["limits"] == {"examples": 40}
    assert "limits" not in origin(plan(), 0)
    assert "weights" not in origin(plan(), 0)
    assert "root" not in origin(whole, 0)["dataset"]


class KilledError(Exception):
    """Stands in for a kill."""


@pytest.mark.parametrize("place", ["sign", "update", "tensor_table"])
def test_a_kill_between_writing_the_note_and_what_is_known_of_the_stage_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Right before the note is written; between it and `stage.json`; before the record."""
    undisturbed = run(plan(), tmp_path / "undisturbed", SilentProgress())

    def killed(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        if place == "update":
            signed = running.sign

            def sign_and_die(*given: object) -> None:
                signed(*given)  # type: ignore[arg-type]
                raise KilledError

            patch.setattr(running, "sign", sign_and_die)
        else:
            patch.setattr(running, place, killed)
        with pytest.raises(KilledError):
            run(plan(), tmp_path / "killed", SilentProgress())
    if place == "tensor_table":
        monkeypatch.setattr("compressbench.running.stage_context.train", None)  # calling it would fail
    record = run(plan(), tmp_path / "killed", SilentProgress())
    assert [stage.metrics for stage in record.stages] == [stage.metrics for stage in undisturbed.stages]
    ours, theirs = files(tmp_path / "killed", record), files(tmp_path / "undisturbed", undisturbed)
    assert {name: path.read_bytes() for name, path in ours.items()} == {
        name: path.read_bytes() for name, path in theirs.items()
    }


def test_a_measure_that_is_added_later_does_not_change_the_file(tmp_path: Path) -> None:
    whole = plan()
    first = run(replace(whole, metrics=whole.metrics[:1]), tmp_path, SilentProgress())
    before = {name: path.read_bytes() for name, path in files(tmp_path, first).items()}
    later = run(whole, tmp_path, SilentProgress())
    assert {name: path.read_bytes() for name, path in files(tmp_path, later).items()} == before
    assert later.final.metrics["size_bytes"] == len(before["finetune"])
