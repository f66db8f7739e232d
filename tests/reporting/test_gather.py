"""Records found on disk, and the small ones that are committed."""

import warnings
from dataclasses import replace
from pathlib import Path

import pytest

from compressbench.core.record import RunRecord
from compressbench.reporting.compare import compare
from compressbench.reporting.gather import commit_records, gather
from tests.reporting.made import MNIST_50, given_record, made_record


def store(record: RunRecord, outputs: Path) -> Path:
    folder = outputs / "runs" / record.table / record.row / record.plan_id
    folder.mkdir(parents=True)
    path = folder / "record.json"
    path.write_text(record.to_json())
    return path


def test_records_of_the_outputs_and_of_the_recipes_are_found_together(tmp_path: Path) -> None:
    store(made_record(0), tmp_path / "outputs")
    commit_records([made_record(1)], tmp_path / "recipes" / "table5" / "records")
    found = gather("table5", tmp_path / "outputs", [tmp_path / "recipes"])
    assert [record.seed for record in found] == [0, 1]


def test_other_tables_are_not_mixed_in(tmp_path: Path) -> None:
    store(made_record(0), tmp_path)
    store(made_record(1, table="table6"), tmp_path)
    store(made_record(2, table="."), tmp_path)
    assert [record.seed for record in gather("table6", tmp_path, [])] == [1]
    assert [record.seed for record in gather(".", tmp_path, [])] == [2]


def test_of_the_same_plan_and_seed_the_newest_is_kept(tmp_path: Path) -> None:
    store(made_record(0, after=0.5, started="2026-01-01T00:00:00"), tmp_path / "outputs")
    newer = made_record(0, after=0.9, started="2026-01-02T00:00:00")
    commit_records([newer], tmp_path / "recipes" / "table5" / "records")
    [record] = gather("table5", tmp_path / "outputs", [tmp_path / "recipes"])
    assert record.final.metrics["top1"] == 0.9


def test_an_unreadable_record_is_reported_with_its_file_and_the_others_are_kept(tmp_path: Path) -> None:
    store(made_record(0), tmp_path)
    broken = store(made_record(1), tmp_path)
    broken.write_text("{")
    unreadable: list[str] = []
    assert [record.seed for record in gather("table5", tmp_path, [], unreadable)] == [0]
    assert len(unreadable) == 1
    assert str(broken) in unreadable[0]
    with pytest.warns(UserWarning, match="not readable"):
        gather("table5", tmp_path, [])


def test_a_given_network_is_committed_with_the_record(tmp_path: Path) -> None:
    commit_records([given_record()], tmp_path / "table5" / "records")
    [record] = gather("table5", tmp_path, [tmp_path])
    assert record.given is not None
    assert record.given.metrics == given_record().given.metrics
    assert record.given.seconds == 0.3


def test_a_table_nobody_has_run_has_no_records(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert gather("table5", tmp_path / "nowhere", [tmp_path / "neither"]) == []


def long_record() -> RunRecord:
    record = made_record(3)
    record.stages[0].curve = [
        {"epoch": epoch, "train_loss": 1.23456789 / epoch, "validation_top1": 0.987654321, "lr": 0.03}
        for epoch in range(1, 161)
    ]
    for index in range(8):
        row = {"params": 9_248, "params_nonzero": 9_248, "macs": 9_216 * 64, "macs_nonzero": 9_216 * 64}
        record.layers += [
            {"name": f"conv{index}", "kind": "Conv2d", "output_shape": [32 + index, 8, 8], **row},
            {"name": f"bn{index}", "kind": "BatchNorm2d", "output_shape": [32 + index, 8, 8], **row, "macs": 0},
        ]
    record.environment |= {"cache": "/somewhere/of/mine"}
    record.plan["model"]["weights"] = "/somewhere/of/mine/weights.safetensors"
    return record


def test_a_committed_record_is_a_few_kilobytes_and_names_no_folder_of_the_machine(tmp_path: Path) -> None:
    [path] = commit_records([long_record()], tmp_path)
    text = path.read_text()
    assert path.name == "mnist_l1norm_50-mnist-steps_160-seed3.json"
    assert len(text) < 7_000
    assert "somewhere" not in text


def test_of_given_weights_the_files_name_stays_and_how_it_was_read(tmp_path: Path) -> None:
    record = long_record()
    record.plan["model"]["weights"] = {
        "file": "/somewhere/of/mine/weights.pt",
        "key": None,
        "rename": {"layer": "stage"},
    }
    [path] = commit_records([record], tmp_path)
    kept = {"file": "weights.pt", "key": None, "rename": {"layer": "stage"}}
    assert RunRecord.read(path).plan["model"]["weights"] == kept


def test_a_committed_curve_is_thinned_and_rounded_and_keeps_its_last_epoch(tmp_path: Path) -> None:
    [path] = commit_records([long_record()], tmp_path)
    curve = RunRecord.read(path).stages[0].curve
    assert [point["epoch"] for point in curve] == list(range(8, 161, 8))
    assert curve[-1]["validation_top1"] == 0.98765


def test_a_committed_record_keeps_which_layers_lost_channels(tmp_path: Path) -> None:
    [path] = commit_records([long_record()], tmp_path)
    layers = RunRecord.read(path).layers
    assert [(row["name"], row["outputs"]) for row in layers] == [(f"conv{index}", 32 + index) for index in range(8)]
    assert layers[0] == {
        "name": "conv0",
        "kind": "Conv2d",
        "params": 9_248,
        "params_nonzero": 9_248,
        "macs": 589_824,
        "outputs": 32,
    }


def test_a_committed_stage_says_what_it_was_computed_in_where_that_is_not_the_runs_own(tmp_path: Path) -> None:
    record = made_record()
    for stage, device in zip(record.stages, ("a GPU", "cpu", "cpu"), strict=True):
        stage.environment = {**record.environment, "device": device}
    [path] = commit_records([record], tmp_path)
    stages = RunRecord.read(path).stages
    assert [stage.environment for stage in stages] == [record.stages[0].environment, {}, {}]


def test_a_run_that_another_machine_computed_in_another_precision_is_the_same_run(tmp_path: Path) -> None:
    store(made_record(0, after=0.5), tmp_path)
    other = made_record(0, after=0.9, started="2026-01-02T00:00:00")
    other.plan_id = "in-bf16"
    store(other, tmp_path)
    another_ratio = made_record(0, ratio=0.3)
    store(another_ratio, tmp_path)
    found = gather("table5", tmp_path, [])
    assert {record.plan_id for record in found} == {"in-bf16", another_ratio.plan_id}


def test_the_report_of_committed_records_is_that_of_the_whole_ones(tmp_path: Path) -> None:
    whole = [replace(long_record(), seed=seed) for seed in (0, 1)]
    small = [RunRecord.read(path) for path in commit_records(whole, tmp_path)]
    references = {"mnist_l1norm_50": MNIST_50}
    [ours], [committed] = compare(whole, references)[0], compare(small, references)[0]
    assert committed.after == ours.after
    assert committed.change == ours.change
    assert committed.verdicts == ours.verdicts
