"""One record, one MLflow run, whatever the tracker does."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from compressbench.core.record import RunRecord
from compressbench.tracking import journal
from compressbench.tracking.content import name_of
from compressbench.tracking.send import send
from compressbench.tracking.store import Store, client
from tests.tracking.records import record, runs_of, written


def test_a_run_holds_parameters_metrics_curves_dataset_and_files(store: Store, outputs: Path) -> None:
    run = record(0.5, seed=2)
    identity = send(run, written(run, outputs), store)
    found = client(store).get_run(identity)
    assert found.info.run_name == "mnist_l1norm_50 seed 2"
    assert found.info.status == "FINISHED"
    assert found.data.params["stages.prune.ratio"] == "0.5"
    assert found.data.params["model"] == "alexnet"
    assert found.data.params["stages.train.training.milestones"] == "[0.5, 0.75]"
    assert "model.weights" not in found.data.params
    assert "stages.prune.round_to" not in found.data.params
    assert found.data.metrics["prune/top1"] == pytest.approx(0.58)
    assert found.data.metrics["macs"] == 3_837_500
    assert found.data.metrics["macs_ratio"] == 0.25
    assert found.data.metrics["top1_change"] == pytest.approx(-0.002)
    curve = client(store).get_metric_history(identity, "finetune/train_loss")
    assert [(point.step, point.value) for point in curve] == [(1, 0.5), (2, 0.25), (3, 0.5 / 3)]
    (dataset,) = found.inputs.dataset_inputs
    assert (dataset.dataset.name, dataset.dataset.digest) == ("mnist", "6bb8eecadbd86d2c")
    assert found.data.tags["mlflow.note.content"] == "| stage | top1 |\n"
    files = {file.path for file in client(store).list_artifacts(identity)}
    assert files == {"record.json", "plan.yaml", "layers.csv", "model", "plots"}


def test_a_run_has_the_times_of_the_experiment_not_of_the_sending(store: Store, outputs: Path) -> None:
    run = record()
    found = client(store).get_run(send(run, written(run, outputs), store))
    assert found.info.start_time == 1_772_366_400_000  # 2026-03-01 12:00 UTC
    assert found.info.end_time - found.info.start_time == 123_000  # 61 + 1 + 61 s: the made-up stages


def test_the_files_in_mlflow_are_the_run_s_own(store: Store, outputs: Path, tmp_path: Path) -> None:
    run = record()
    identity = send(run, written(run, outputs), store)
    (tmp_path / "back").mkdir()
    copied = Path(client(store).download_artifacts(identity, "record.json", str(tmp_path / "back")))
    assert RunRecord.read(copied) == run
    weights = client(store).download_artifacts(identity, "model/model.cbp", str(tmp_path / "back"))
    assert Path(weights).read_bytes() == b"weights"


def test_weights_above_the_limit_stay_where_they_are(store: Store, outputs: Path) -> None:
    run = record()
    folder = written(run, outputs)
    with (folder / "model.cbp").open("wb") as file:
        file.truncate(50_000_001)
    identity = send(run, folder, store)
    assert "model" not in {file.path for file in client(store).list_artifacts(identity)}
    note = client(store).get_run(identity).data.tags["mlflow.note.content"]
    assert note.startswith("**No model here:** model.cbp takes 50,000,001 bytes")


def test_sending_twice_makes_one_run(store: Store, outputs: Path) -> None:
    run = record()
    folder = written(run, outputs)
    first = send(run, folder, store)
    assert send(run, folder, store) == first
    (folder / journal.NAME).unlink()  # killed between the last word to MLflow and the journal
    assert send(run, folder, store) == first
    assert len(runs_of(store)) == 1


def test_a_half_written_run_is_completed_and_one_that_says_something_else_is_replaced(
    store: Store, outputs: Path
) -> None:
    run = record()
    folder = written(run, outputs)
    first = send(run, folder, store)

    def half_written() -> None:
        (folder / journal.NAME).unlink()
        client(store).update_run(first, status="RUNNING")
        client(store).set_tag(first, "mlflow.compressbench.content", "what an older version wrote")

    half_written()
    assert send(run, folder, store) == first
    half_written()
    run.plan["stages"]["prune"]["ignore"] = []
    second = send(run, folder, store)
    assert second != first
    assert [found.info.run_id for found in runs_of(store)] == [second]


def test_a_run_that_failed_is_the_one_that_finishes_later(store: Store, outputs: Path) -> None:
    run = record()
    folder = written(run, outputs)
    failed = replace(run, status="failed", error="training diverged in epoch 3", stages=run.stages[:1])
    first = send(failed, folder, store)
    info = client(store).get_run(first)
    assert info.info.status == "FAILED"
    assert info.data.tags["error"] == "training diverged in epoch 3"
    assert "top1" not in info.data.metrics  # an unfinished run must not stand among the finished ones
    assert "training diverged" in info.data.tags["mlflow.note.content"]
    assert send(run, folder, store) == first
    (found,) = runs_of(store)
    assert found.info.status == "FINISHED"
    assert "error" not in found.data.tags
    assert "training diverged" not in found.data.tags["mlflow.note.content"]


def test_a_changed_result_replaces_the_earlier_run(store: Store, outputs: Path) -> None:
    run = record()
    folder = written(run, outputs)
    first = send(run, folder, store)
    run.stages[2].metrics["top1"] += 0.01
    second = send(run, folder, store)
    assert second != first
    assert [found.info.run_id for found in runs_of(store)] == [second]


def test_a_missed_budget_is_a_result_that_says_so(store: Store, outputs: Path) -> None:
    run = replace(record(), missed=["macs is 3,837,500; the limit is 1,000,000"])
    found = client(store).get_run(send(run, written(run, outputs), store))
    assert (found.info.status, found.data.tags["budget"]) == ("FINISHED", "missed")
    assert found.data.tags["mlflow.note.content"].startswith("**Over budget:** macs is 3,837,500; the limit")
    assert found.data.metrics["macs"] == 3_837_500


def test_a_budget_that_is_kept_is_said_with_what_is_left_of_it(store: Store, outputs: Path) -> None:
    run = record(0.5)
    run.plan["budget"] = {"macs": 4_000_000, "accuracy_drop": 0.01, "epochs": 9}
    tags = client(store).get_run(send(run, written(run, outputs), store)).data.tags
    assert tags["budget"] == "met"
    limits = "macs 3,837,500 (limit 4,000,000), accuracy_drop 0.0020 (limit 0.0100), epochs (limit 9)"
    assert tags["mlflow.note.content"].startswith(f"**Within budget:** {limits}\n\n| stage")


def test_a_run_says_its_table_row_protocol_and_the_commit_it_was_made_from(store: Store, outputs: Path) -> None:
    run = replace(record(), environment={"commit": "7e1881c-dirty"})
    tags = client(store).get_run(send(run, written(run, outputs), store)).data.tags
    assert [tags[key] for key in ("table", "row", "protocol")] == ["table5", "mnist_l1norm_50", "reduced"]
    assert tags["mlflow.source.git.commit"] == "7e1881c-dirty"
    assert "budget" not in tags  # it has none


def test_runs_that_differ_have_names_that_differ() -> None:
    def named(**changed: str) -> str:
        return name_of(replace(record(), changed={key.replace("_", "."): value for key, value in changed.items()}))

    assert named() == "mnist_l1norm_50 seed 0"
    assert named(stages_prune_ratio="0.7", training="reduced") == "ratio=0.7 training=reduced seed 0 of mnist_l1norm_50"
    assert named(stages_a_lr="1", stages_b_lr="2") == "a.lr=1 b.lr=2 seed 0 of mnist_l1norm_50"
    assert name_of(replace(record(), changed={"~stages.prune": ""})) == "without prune seed 0 of mnist_l1norm_50"
    assert len(named(stages_prune_ratios="{" + "conv1: 0.5, " * 30 + "}")) < 90


def test_a_run_without_any_stage_is_sent_all_the_same(store: Store, outputs: Path) -> None:
    run = replace(record(), status="failed", error="the disk is full", stages=[], layers=[], dataset={}, started="")
    assert send(run, written(run, outputs), store) is not None


def test_long_values_and_odd_names_are_made_to_fit(store: Store, outputs: Path) -> None:
    run = record()
    run.plan["stages"]["prune"]["ratios"] = {f"stage{number}.*.conv@1": 0.5 for number in range(150)}
    run.plan["note"] = "x" * 7000
    run.error = "y" * 9000
    run.stages[0].metrics["top1@10%"] = 0.5
    run.stages[0].curve = [{"epoch": epoch, "train_loss": 1.0 / epoch} for epoch in range(1, 2501)]
    identity = send(run, written(run, outputs), store)
    found = client(store).get_run(identity)
    assert len(found.data.params["note"]) == 6000
    assert found.data.metrics["train/top1_10_"] == 0.5
    assert found.data.params["stages.prune.ratios.stage149._.conv_1"] == "0.5"
    assert len(client(store).get_metric_history(identity, "train/train_loss")) == 2500


def test_a_recipe_outside_any_table_has_an_experiment_of_its_own(store: Store, outputs: Path) -> None:
    run = record(table=".")
    send(run, written(run, outputs), store)
    assert len(runs_of(store, "mnist_l1norm_50")) == 1


FIRST_USE = """
import sys
from pathlib import Path
from compressbench.core.record import RunRecord
from compressbench.tracking.send import send
from compressbench.tracking.store import embedded
folder = Path(sys.argv[1])
print(send(RunRecord.read(folder / "record.json"), folder, embedded(Path(sys.argv[2]))))
"""


@pytest.mark.slow
def test_four_processes_may_all_be_the_first(tmp_path: Path) -> None:
    folders = [written(record(0.5, seed, table=table), tmp_path) for seed, table in enumerate(["table5", "table6"] * 2)]
    command = [sys.executable, "-c", FIRST_USE]
    processes = [
        subprocess.Popen([*command, str(folder), str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for folder in folders
    ]
    answers = [process.communicate(timeout=120) for process in processes]
    said = [line for _, error in answers for line in error.decode().splitlines() if not line.startswith("  ")]
    assert all("waiting for another process that prepares" in line for line in said)  # nor MLflow's own chatter
    assert len(said) <= 3  # the first one waits for nobody
    from compressbench.tracking.store import embedded

    store = embedded(tmp_path)
    for table, seeds in (("table5", {"0", "2"}), ("table6", {"1", "3"})):
        assert {found.data.params["seed"] for found in runs_of(store, table)} == seeds
    assert runs_of(store, "Default") == []
    assert {json.loads((folder / journal.NAME).read_text())["run_id"] for folder in folders} == {
        output.decode().strip() for output, _ in answers
    }
