"""A network whose weights are given is measured as it is before the first stage, and all is held against it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from compressbench.core.budget import Budget
from compressbench.core.errors import RunError
from compressbench.core.metric import EvaluationInput, MetricSpec, MetricValue
from compressbench.core.plan import Plan, Stage
from compressbench.core.record import RunRecord
from compressbench.core.task import Task
from compressbench.packing import packed_file
from compressbench.running.folders import run_folder
from compressbench.running.progress import SilentProgress
from compressbench.running.run import run
from compressbench.techniques.pruning.magnitude import MagnitudePruning
from tests.running.plans import plan

PRUNE = Stage("prune", "pruning/magnitude", MagnitudePruning(["conv", "linear"], 0.99, {}, [], "per_layer", 1, None))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state dict of a network that was trained elsewhere."""
    folder = tmp_path_factory.mktemp("elsewhere")
    record = run(replace(plan(), stages=plan().stages[:1]), folder, SilentProgress())
    model = packed_file.read(folder / "cache" / "stages" / record.final.stage_id / "model.cbp").model
    torch.save(model.state_dict(), folder / "weights.pth")
    return folder / "weights.pth"


def with_weights(weights: Path, *stages: Stage, **changes: object) -> Plan:
    return plan(model=replace(plan().model, weights=str(weights)), stages=stages, **changes)


def test_the_given_network_is_measured_and_its_loss_of_accuracy_breaks_the_budget(
    weights: Path, tmp_path: Path
) -> None:
    record = run(with_weights(weights, PRUNE, budget=Budget(accuracy_drop=0.001)), tmp_path, SilentProgress())
    assert record.given is not None
    assert record.before is record.given
    assert record.given.metrics["top1"] > record.final.metrics["top1"] + 0.1
    assert record.missed[0].startswith("budget.accuracy_drop is 0.0010, but top1 dropped by 0.")
    assert [stage.name for stage in record.stages] == ["prune"]
    whole = record.given.metrics
    assert whole["params_nonzero"] > record.final.metrics["params_nonzero"]


def test_its_file_holds_what_was_given_and_can_be_looked_into(weights: Path, tmp_path: Path) -> None:
    record = run(with_weights(weights, PRUNE), tmp_path, SilentProgress())
    assert record.given is not None
    file = tmp_path / "cache" / "stages" / record.given.stage_id / "model.cbp"
    stored, given = packed_file.read(file).model.state_dict(), torch.load(weights, weights_only=True)
    assert all(torch.equal(tensor, given[name]) for name, tensor in stored.items())
    note = packed_file.note(file)
    assert note["stages"] == {}
    assert note["measured"]["top1"] == record.given.metrics["top1"]
    assert file.stat().st_size == record.given.metrics["size_bytes"]


def test_rows_with_the_same_weights_measure_them_once(weights: Path, tmp_path: Path) -> None:
    first = run(with_weights(weights, PRUNE), tmp_path, SilentProgress())
    second = run(with_weights(weights, plan().stages[1], recipe="tests/other"), tmp_path, SilentProgress())
    assert first.given is not None
    assert second.given is not None
    assert (first.given.cached, second.given.cached) == (False, True)
    assert first.given.stage_id == second.given.stage_id
    assert first.given.metrics == second.given.metrics


def test_without_stages_the_given_network_is_all_there_is(weights: Path, tmp_path: Path) -> None:
    whole = with_weights(weights)
    record = run(whole, tmp_path, SilentProgress())
    assert record.stages == []
    assert record.final is record.given
    folder = run_folder(tmp_path, whole)
    assert (folder / "model.cbp").stat().st_size == record.final.metrics["size_bytes"]
    assert run(whole, tmp_path, SilentProgress()).to_json() == record.to_json()


def test_a_run_that_trains_itself_has_no_given_network(tmp_path: Path) -> None:
    record = run(replace(plan(), stages=plan().stages[:1]), tmp_path, SilentProgress())
    assert record.given is None


def test_a_record_from_before_the_given_network_was_measured_is_completed(weights: Path, tmp_path: Path) -> None:
    whole = with_weights(weights, PRUNE)
    first = run(whole, tmp_path, SilentProgress())
    file = run_folder(tmp_path, whole) / "record.json"
    file.write_text(replace(first, given=None).to_json())
    again = run(whole, tmp_path, SilentProgress())
    assert again.given is not None
    assert all(network.cached for network in again.networks)


def test_a_stage_that_fails_leaves_a_record_with_the_given_network(weights: Path, tmp_path: Path) -> None:
    wrong = replace(PRUNE, technique=replace(PRUNE.technique, targets=["convv1"]))
    whole = with_weights(weights, wrong)
    with pytest.raises(RunError, match="convv1"):
        run(whole, tmp_path, SilentProgress())
    record = RunRecord.read(run_folder(tmp_path, whole) / "record.json")
    assert (record.status, record.stages, record.given is None) == ("failed", [], False)


@dataclass(frozen=True)
class WeightsBefore:
    """Measures the sum of the weights of the baseline's first layer."""

    needs_baseline: ClassVar[bool] = True

    def measure(self, given: EvaluationInput) -> list[MetricValue]:
        [spec] = self.specs(given.task)
        return [MetricValue(spec, float(given.baseline().model.conv1.weight.detach().sum()))]

    def specs(self, task: Task) -> tuple[MetricSpec, ...]:
        return (MetricSpec("before", "ratio", None),)


def conv1_sum(outputs: Path, stage_id: str) -> float:
    model = packed_file.read(outputs / "cache" / "stages" / stage_id / "model.cbp").model
    return float(model.get_parameter("conv1.weight").detach().sum())


@pytest.mark.parametrize("first", ["prune", "finetune"])
def test_a_latency_is_held_against_the_same_network(first: str, weights: Path, tmp_path: Path) -> None:
    finetune = plan().stages[2]
    order = (PRUNE, finetune) if first == "prune" else (finetune, PRUNE)
    record = run(with_weights(weights, *order, metrics=(("before", WeightsBefore()),)), tmp_path, SilentProgress())
    assert record.given is not None
    assert record.before is not None
    expected = conv1_sum(tmp_path, record.before.stage_id)
    assert [stage.metrics["before"] for stage in record.stages] == [expected] * 2
    # other rows share the given network with its figures, so these do not hang on what comes after it
    assert record.given.metrics["before"] == conv1_sum(tmp_path, record.given.stage_id)
