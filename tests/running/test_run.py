"""A plan becomes a record; what was computed once is not computed again; a killed run loses nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from compressbench.core.budget import Budget
from compressbench.core.errors import RunError
from compressbench.core.plan import Stage
from compressbench.core.record import RunRecord
from compressbench.packing import packed_file
from compressbench.running.folders import run_folder
from compressbench.running.progress import SilentProgress
from compressbench.running.run import run
from compressbench.techniques.pruning.l1_norm import L1NormPruning
from compressbench.techniques.training.finetune import Finetune
from compressbench.techniques.training.from_scratch import FromScratch
from tests.running.plans import TRAINING, plan
from tests.techniques.lending import trained_by


def figures(record: RunRecord) -> list[dict[str, float]]:
    return [stage.metrics for stage in record.stages]


def test_every_stage_is_measured_and_the_file_is_what_was_measured(tmp_path: Path) -> None:
    whole = plan()
    record = run(whole, tmp_path, SilentProgress())
    assert [stage.name for stage in record.stages] == ["train", "prune", "finetune"]
    # LeNet-5 with 10 of 20 and 25 of 50 filters: 10*25+10 + 25*10*25+25 + 25*16*500+500 + 500*4+4
    assert record.final.metrics["params"] == 260 + 6275 + 200_500 + 2004
    folder = run_folder(tmp_path, whole)
    assert RunRecord.read(folder / "record.json").to_json() == record.to_json()
    assert (folder / "model.cbp").stat().st_size == record.final.metrics["size_bytes"]
    decoded = packed_file.read(folder / "model.cbp").model
    images, labels = next(iter(whole.dataset.load().test.batches(64)))
    assert (decoded(images).argmax(1) == labels).float().mean().item() == pytest.approx(record.final.metrics["top1"])
    assert record.layers[0]["name"] == "conv1"
    assert [row["name"] for row in record.tensors] == sorted(decoded.state_dict())
    assert sum(row["bytes"] for row in record.tensors) < record.final.metrics["size_bytes"]


def test_a_second_start_trains_nothing_and_says_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(plan(), tmp_path, SilentProgress())
    monkeypatch.setattr("compressbench.running.stage_context.train", None)  # calling it would fail
    assert run(plan(), tmp_path, SilentProgress()).to_json() == first.to_json()


def test_rows_share_their_trained_baseline(tmp_path: Path) -> None:
    first = run(plan(), tmp_path, SilentProgress())
    other = plan(recipe="tests/other")
    pruned = Stage("prune", "pruning/l1_norm", L1NormPruning(["conv"], 0.3, {}, [], 1))
    second = run(replace(other, stages=(other.stages[0], pruned, other.stages[2])), tmp_path, SilentProgress())
    assert [stage.cached for stage in second.stages] == [True, False, False]
    assert second.stages[0].metrics == first.stages[0].metrics


def test_every_stage_keeps_the_environment_it_was_computed_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(plan(), tmp_path, SilentProgress())
    assert all(stage.environment == first.environment for stage in first.stages)
    for module in ("run", "stages"):
        monkeypatch.setattr(f"compressbench.running.{module}.environment", lambda device: {"device": "another"})
    other = plan(recipe="tests/other")
    pruned = Stage("prune", "pruning/l1_norm", L1NormPruning(["conv"], 0.3, {}, [], 1))
    second = run(replace(other, stages=(other.stages[0], pruned)), tmp_path, SilentProgress())
    assert second.environment == {"device": "another"}
    assert [stage.environment for stage in second.stages] == [first.environment, {"device": "another"}]


def test_the_same_seed_gives_the_same_figures_and_another_seed_does_not(tmp_path: Path) -> None:
    first = run(plan(), tmp_path / "a", SilentProgress())
    assert figures(run(plan(), tmp_path / "b", SilentProgress())) == figures(first)
    assert figures(run(plan(seed=1), tmp_path / "c", SilentProgress())) != figures(first)


def test_a_measure_added_later_is_measured_without_training_again(tmp_path: Path) -> None:
    whole = plan()
    run(replace(whole, metrics=whole.metrics[:1]), tmp_path, SilentProgress())
    record = run(whole, tmp_path, SilentProgress())
    assert all(stage.cached for stage in record.stages)
    assert {"top1", "params", "macs", "size_bytes"} <= record.final.metrics.keys()


def test_a_damaged_cache_entry_is_computed_again_with_a_warning(tmp_path: Path) -> None:
    whole = plan()
    first = run(whole, tmp_path, SilentProgress())
    damaged = tmp_path / "cache" / "stages" / first.stages[1].stage_id / "model.cbp"
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1  # one bit of one weight
    damaged.write_bytes(content)
    (run_folder(tmp_path, whole) / "record.json").unlink()
    with pytest.warns(UserWarning, match=r"model\.cbp.*checksum is wrong"):
        record = run(whole, tmp_path, SilentProgress())
    assert [stage.cached for stage in record.stages] == [True, False, True]
    assert figures(record) == figures(first)


def test_a_loss_that_is_no_number_ends_the_run_with_a_failed_record(tmp_path: Path) -> None:
    whole = plan()
    diverging = Stage("train", "training/from_scratch", trained_by(FromScratch, **{**TRAINING, "lr": 1e30}))
    whole = replace(whole, stages=(diverging, *whole.stages[1:]))
    with pytest.raises(RunError, match="epoch"):
        run(whole, tmp_path, SilentProgress())
    record = RunRecord.read(run_folder(tmp_path, whole) / "record.json")
    assert record.status == "failed"
    assert "epoch" in record.error


def test_a_budget_that_is_missed_is_in_the_record(tmp_path: Path) -> None:
    record = run(plan(budget=Budget({"params": 1000, "macs": 10**9}, accuracy_drop=0.5)), tmp_path, SilentProgress())
    assert record.missed == ["budget.params is 1,000, but the result has 209,039"]


def test_the_seconds_of_a_budget_end_a_training_that_can_go_on_later(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="seconds of the budget"):
        run(plan(budget=Budget(seconds=0.0)), tmp_path, SilentProgress())
    record = run(plan(), tmp_path, SilentProgress())
    assert figures(record) == figures(run(plan(), tmp_path / "undisturbed", SilentProgress()))


def test_limits_cut_epochs_steps_and_images(tmp_path: Path) -> None:
    from compressbench.core.plan import Limits

    record = run(plan(limits=Limits(epochs=1, steps=2, examples=40)), tmp_path, SilentProgress())
    assert record.dataset["train_examples"] <= 40
    assert len(record.stages[0].curve) == 1


def test_a_missing_layer_found_while_running_names_the_stage(tmp_path: Path) -> None:
    whole = plan()
    wrong = Stage("prune", "pruning/l1_norm", L1NormPruning(["convv1"], 0.5, {}, [], 1))
    with pytest.raises(RunError, match=r"stages\.prune.*convv1.*conv1"):
        run(replace(whole, stages=(whole.stages[0], wrong)), tmp_path, SilentProgress())


SCRIPT = """
import sys, time
from dataclasses import replace
from pathlib import Path
from compressbench.core.plan import Stage
from compressbench.running.folders import run_folder
from compressbench.running.progress import SilentProgress
from compressbench.running.run import run
from compressbench.techniques.training.from_scratch import FromScratch
from tests.running.plans import TRAINING, plan
from tests.techniques.lending import trained_by

whole = plan()
longer = Stage("train", "training/from_scratch", trained_by(FromScratch, **{**TRAINING, "epochs": 6}))
record = run(
    replace(whole, recipe=sys.argv[2], stages=(longer, *whole.stages[1:])), Path(sys.argv[1]), SilentProgress()
)
print("finished", *(stage.cached for stage in record.stages))
"""


def start(outputs: Path, recipe: str = "tests/lenet") -> subprocess.Popen[str]:
    repository = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(repository), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(outputs), recipe], env=environment, text=True, stdout=subprocess.PIPE
    )


@pytest.mark.long
def test_a_run_killed_at_any_moment_ends_with_the_numbers_of_an_undisturbed_one(tmp_path: Path) -> None:
    undisturbed = start(tmp_path / "undisturbed")
    assert "finished" in undisturbed.communicate()[0]
    for delay in (2.0, 2.5, 3.0):
        process = start(tmp_path / "killed")
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert "finished" in start(tmp_path / "killed").communicate()[0]
    records = [next((tmp_path / name).glob("runs/tests/lenet/*/record.json")) for name in ("undisturbed", "killed")]
    first, second = (RunRecord.read(path) for path in records)
    assert figures(first) == figures(second)
    files = [path.with_name("model.cbp").read_bytes() for path in records]
    assert files[0] == files[1]


@pytest.mark.slow
def test_two_processes_do_not_train_the_same_stage_twice(tmp_path: Path) -> None:
    processes = [start(tmp_path, recipe) for recipe in ("tests/first", "tests/second")]
    said = [process.communicate()[0].split()[1:] for process in processes]
    assert [sorted(pair) for pair in zip(*said, strict=True)] == [["False", "True"]] * 3


def test_the_global_random_state_is_left_alone(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(plan(), tmp_path, SilentProgress())
    assert torch.equal(before, torch.get_rng_state())


def test_finetune_after_a_cached_stage_equals_finetune_in_one_go(tmp_path: Path) -> None:
    whole = plan()
    run(replace(whole, stages=whole.stages[:2], recipe="tests/part"), tmp_path, SilentProgress())
    resumed = run(whole, tmp_path, SilentProgress())
    assert figures(resumed) == figures(run(whole, tmp_path / "at once", SilentProgress()))
    assert isinstance(whole.stages[2].technique, Finetune)
