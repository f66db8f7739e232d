"""A dry run predicts counts and finds what only the network can tell, without training and without data."""

from dataclasses import replace
from pathlib import Path

import torch

from compressbench.core.budget import Budget
from compressbench.core.plan import Stage
from compressbench.running.dry_run import dry_run
from compressbench.running.progress import SilentProgress
from compressbench.running.run import run
from compressbench.techniques.pruning.l1_norm import L1NormPruning
from compressbench.techniques.pruning.magnitude import MagnitudePruning
from tests.running.plans import plan


def test_the_prediction_is_what_the_run_then_measures(tmp_path: Path) -> None:
    stages, faults = dry_run(plan(), tmp_path)
    assert faults == []
    assert [stage.epochs for stage in stages] == [2, 0, 2]
    record = run(plan(), tmp_path, SilentProgress())
    for planned, stage in zip(stages, record.stages, strict=True):
        for name in ("params", "params_without_bn", "macs"):
            assert planned.counts[name] == stage.metrics[name]
    assert [stage.cached for stage in stages] == [False] * 3
    assert [stage.cached for stage in dry_run(plan(), tmp_path)[0]] == [True] * 3


def test_a_stage_that_cannot_work_does_not_hide_the_faults_after_it(tmp_path: Path) -> None:
    wrong = Stage("prune", "pruning/l1_norm", L1NormPruning(["convv1"], 0.5, {}, [], 1))
    also = Stage("again", "pruning/magnitude", MagnitudePruning(["fc9"], 0.5, {}, [], "per_layer", 1, None))
    _, faults = dry_run(replace(plan(), stages=(plan().stages[0], wrong, also)), tmp_path)
    assert [fault.where for fault in faults] == ["stages.prune", "stages.again"]
    assert "convv1" in faults[0].what
    assert "fc9" in faults[1].what


def test_a_budget_that_cannot_be_kept_is_a_fault_before_training(tmp_path: Path) -> None:
    _, faults = dry_run(plan(budget=Budget({"params": 209_038, "macs": 1}, epochs=3)), tmp_path)
    assert [fault.where for fault in faults] == ["budget.epochs", "budget.params", "budget.macs"]
    assert "209,039" in faults[1].what
    assert dry_run(plan(budget=Budget({"params": 209_039}, epochs=4)), tmp_path)[1] == []


def test_a_drop_from_no_network_is_a_fault_before_training(tmp_path: Path) -> None:
    whole = plan(budget=Budget(accuracy_drop=0.01))
    assert dry_run(whole, tmp_path)[1] == []
    without = replace(whole, stages=(replace(whole.stages[0], kind="quantization/bnn"), *whole.stages[1:]))
    [fault] = dry_run(without, tmp_path)[1]
    assert fault.where == "budget.accuracy_drop"
    for words in ("no network before compression", "no weights are given", "train: quantization/bnn"):
        assert words in fault.what
    torch.save(whole.model.architecture.build().state_dict(), tmp_path / "weights.pth")
    given = replace(without, model=replace(whole.model, weights=str(tmp_path / "weights.pth")))
    assert dry_run(given, tmp_path)[1] == []


def test_nothing_is_written_and_the_random_state_is_left_alone(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    dry_run(plan(), tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert torch.equal(before, torch.get_rng_state())
