"""A record is written as JSON and read back whole, or refused by name."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from compressbench.core.record import RunRecord, StageRecord
from tests.metric_specs import DESCRIBED

RECORD = RunRecord(
    recipe="table5/row",
    table="table5",
    row="row",
    protocol="steps_160",
    seed=1,
    plan_id="abc",
    plan={"stages": {"train": {"lr": 0.1}}},
    reference={"top1": 0.9},
    dataset={"name": "mnist"},
    environment={"torch": "2.13"},
    stages=[StageRecord("train", "training/from_scratch", "id", {"top1": 0.98}, [{"epoch": 1.0}])],
    **DESCRIBED,
)


def test_a_record_comes_back_as_it_was() -> None:
    assert RunRecord.from_json(RECORD.to_json()) == RECORD
    assert RECORD.final.metrics["top1"] == 0.98


def undigested(text: str) -> str:
    """Return a record as older versions wrote it."""
    content = json.loads(text)
    del content["digest"]
    return json.dumps(content)


def test_a_run_of_two_sweeps_is_a_point_of_each() -> None:
    shared = replace(RECORD, sweeps={"s1": {"ratio": "0.5"}, "s2": {"ratio": "0.5", "seed": "1"}})
    assert RunRecord.from_json(shared.to_json()) == shared
    assert shared.swept == {"ratio": "0.5", "seed": "1"}
    assert shared.in_sweep("s1").swept == {"ratio": "0.5"}


def test_a_given_network_comes_back_too_and_records_from_before_there_was_one_are_read() -> None:
    with_given = replace(RECORD, given=StageRecord("given", "given", "start", {"top1": 0.99}))
    assert RunRecord.from_json(with_given.to_json()) == with_given
    older = json.loads(undigested(RECORD.to_json()))
    del older["given"]
    assert RunRecord.from_json(json.dumps(older)) == RECORD


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"version": 1}', '{"version": 99}', "null"])
def test_what_is_no_record_of_ours_is_refused_by_the_name_of_its_file(text: str, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"record\.json"):
        RunRecord.read(path)


def test_a_record_that_does_not_say_what_its_figures_are_is_refused() -> None:
    older = json.loads(undigested(RECORD.to_json()))
    with pytest.raises(ValueError, match="a run record of version 1; this is version 2: docs/migrate_0_2"):
        RunRecord.from_json(json.dumps(older | {"version": 1}))
    del older["metric_specs"]["top1"]
    with pytest.raises(ValueError, match="does not say what these figures are: top1"):
        RunRecord.from_json(json.dumps(older))
    del older["metric_specs"]
    with pytest.raises(ValueError, match="not a run record: 'metric_specs'"):
        RunRecord.from_json(json.dumps(older))


def test_of_a_metric_only_what_is_its_own_is_written() -> None:
    told = json.loads(RECORD.to_json())["metric_specs"]
    assert told["macs_nonzero"] == {"unit": "count", "higher_is_better": False, "format": "count", "limit": True}
    assert told["latency_onnx_agreement"]["rows"] == ["onnx, 1", "onnx, 64"]


def test_a_frame_has_a_row_a_network_and_a_column_a_metric() -> None:
    stages = [
        *RECORD.stages,
        StageRecord("prune", "pruning/l1_norm", "id2", {"top1": 0.9, "params": 10.0}, cached=True),
    ]
    frame = replace(RECORD, stages=stages, given=StageRecord("given", "given", "id0", {"top1": 0.1})).to_frame()
    assert list(frame.index) == ["given", "train", "prune"]
    assert frame["top1"].tolist() == [0.1, 0.98, 0.9]
    assert frame["params"].isna().tolist() == [True, True, False]
    assert frame["epochs"].tolist() == [0, 1, 0]
    assert frame.loc["prune", "technique"] == "pruning/l1_norm"
    assert frame["cached"].tolist() == [False, False, True]
