"""What `precision: auto` means is known before anything is computed, the same every time, and part of the identity."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from compressbench.core.architecture import Architecture
from compressbench.core.model import Model
from compressbench.core.plan import Plan, Stage
from compressbench.core.training import TrainingConfig
from compressbench.planning import catalogue
from compressbench.planning.build import build
from compressbench.planning.compose import compose
from compressbench.running import decided as module
from compressbench.running.decided import decided
from compressbench.running.dry_run import dry_run
from compressbench.running.progress import SilentProgress
from compressbench.running.run import run
from compressbench.techniques.pruning.magnitude import MagnitudePruning
from compressbench.techniques.training.from_scratch import FromScratch
from tests.running.plans import TRAINING, plan
from tests.techniques.lending import trained_by

CPU, GPU = torch.device("cpu"), torch.device("cuda")
FAST, PLAIN = "bf16 channels_last", "fp32 contiguous"
AUTO = {**TRAINING, "precision": "auto"}


def automatic(**changes: object) -> Plan:
    """Return the plan of the other tests, whose first stage trains with `precision: auto`."""
    first = Stage("train", "training/from_scratch", trained_by(FromScratch, **AUTO))
    return replace(plan(**changes), stages=(first, *plan().stages[1:]))


@pytest.fixture(autouse=True)
def _one_thread_with_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    monkeypatch.setattr(module, "has_bf16", lambda: True)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("resnet20", FAST),
        ("resnet56", FAST),
        ("vgg16_cifar", FAST),
        ("lenet5", FAST),
        ("lenet_300_100", PLAIN),
        ("alexnet", PLAIN),
        ("alexnet_bnd", PLAIN),
        ("alexnet_slimming", PLAIN),
    ],
)
@pytest.mark.parametrize("dataset", ["mnist", "cifar10", "digits"])
def test_what_is_decided_for_the_networks_whose_times_are_known(model: str, dataset: str, expected: str) -> None:
    overrides = ["recipe=quickstart", f"model={model}", f"dataset={dataset}"]
    if model.startswith("lenet"):
        overrides.append("model.image_size=32")
    found, _ = build(compose(overrides), overrides)
    assert found is not None
    assert decided(found, CPU).auto == expected


OF_OTHER_TASKS = {
    "gpt": "python_topics",
    "lstm_classifier": "digits_rows",
    "lstm_language_model": "python_topics",
    "mlp": "diabetes",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", [entry.name for entry in catalogue.models()])
def test_it_can_be_decided_for_every_network_of_the_catalogue(name: str) -> None:
    of_small_images = name in ("lenet5", "lenet_300_100", "vgg16_cifar") or name.startswith(("alexnet", "fitnet"))
    dataset = OF_OTHER_TASKS.get(name, "digits" if of_small_images else "imagenet")
    overrides = ["recipe=quickstart", f"model={name}", f"dataset={dataset}"]
    if name.startswith("lenet"):
        overrides.append("model.image_size=32")
    found, _ = build(compose(overrides), overrides)
    assert found is not None
    before = torch.get_rng_state()
    assert decided(found, GPU).auto == "tf32 channels_last"
    assert torch.equal(torch.get_rng_state(), before)


def test_another_decision_is_another_result_only_where_auto_is_trained_with() -> None:
    fast, slow = replace(automatic(), auto=FAST), replace(automatic(), auto=PLAIN)
    assert not set(fast.stage_ids("data")) & set(slow.stage_ids("data"))
    assert fast.plan_id() != slow.plan_id()
    assert replace(plan(), auto=FAST).stage_ids("data") == replace(plan(), auto=PLAIN).stage_ids("data")


def test_a_training_inside_of_a_technique_counts_too() -> None:
    def ids(auto: str, retrain: TrainingConfig | None) -> tuple[str, ...]:
        pruning = MagnitudePruning(["conv"], 0.5, {}, [], "per_layer", 1, retrain)
        stages = (plan().stages[0], Stage("prune", "pruning/magnitude", pruning))
        return plan(stages=stages, auto=auto).stage_ids("data")

    assert ids(FAST, TrainingConfig(**AUTO))[1] != ids(PLAIN, TrainingConfig(**AUTO))[1]
    assert ids(FAST, TrainingConfig(**TRAINING)) == ids(PLAIN, TrainingConfig(**TRAINING))
    assert ids(FAST, None) == ids(PLAIN, None)


def test_a_run_trains_as_decided_and_a_second_one_finds_it_on_the_same_machine_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(automatic(), tmp_path, SilentProgress())
    assert [stage.setting.get("precision") for stage in first.stages] == ["bf16", None, "fp32"]
    assert first.stages[0].setting["layout"] == "channels_last"
    assert [stage.cached for stage in dry_run(automatic(), tmp_path)[0]] == [True] * 3
    monkeypatch.setattr(module, "has_bf16", lambda: False)
    assert [stage.cached for stage in dry_run(automatic(), tmp_path)[0]] == [False] * 3
    second = run(automatic(), tmp_path, SilentProgress())
    assert second.plan_id != first.plan_id
    assert second.stages[0].setting["precision"] == "fp32"


def test_the_same_plan_is_decided_the_same_way_with_any_machine_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resnet = Architecture("compressbench.zoo.resnet_cifar.ResNetCifar", {"in_channels": 1, "classes": 4, "depth": 20})
    found = set()
    for name in ("a", "b"):
        monkeypatch.setenv("COMPRESSBENCH_CACHE", str(tmp_path / name))
        found.add(decided(automatic(model=Model("resnet20", resnet)), CPU).auto)
        assert not (tmp_path / name).exists()
    assert found == {FAST}
