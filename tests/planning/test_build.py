"""From a configuration to a plan, or to all its faults."""

from __future__ import annotations

import pytest

from compressbench.planning.build import build
from compressbench.planning.compose import compose
from tests.planning.plans import built, faults


def test_a_plan_is_typed_and_complete(row):
    plan = built("recipe=row", "seed=3")
    assert (plan.recipe, plan.seed, plan.protocol) == ("row", 3, "")
    assert [(stage.name, stage.kind) for stage in plan.stages] == [
        ("train", "training/from_scratch"),
        ("prune", "pruning/l1_norm"),
        ("finetune", "training/finetune"),
    ]
    assert plan.stages[0].technique.training.epochs == 2
    assert plan.model.name == "lenet5"
    assert plan.model.architecture.arguments["in_channels"] == 1
    assert plan.model.architecture.arguments["classes"] == 10
    assert [name for name, _ in plan.metrics] == ["accuracy", "parameters", "macs", "flops_survey", "size"]


def test_channels_and_classes_come_from_the_dataset(row):
    plan = built("recipe=row", "dataset=synthetic", "dataset.shape=[3,32,32]", "dataset.classes=7")
    assert plan.model.architecture.build().conv1.in_channels == 3
    assert plan.model.architecture.arguments["classes"] == 7


def test_the_schedule_of_the_training_reaches_the_stages(row):
    assert built("recipe=row").stages[2].technique.training.lr == 0.001
    assert built("recipe=row", "training=reduced").stages[2].technique.training.schedule == "one_cycle"
    assert built("recipe=row", "training.finetune.lr=0.5").stages[2].technique.training.lr == 0.5


def test_a_stage_may_refer_to_another_ones_default(row):
    plan = built(
        "recipe=row",
        "stages.finetune.training.batch_size=${stages.train.training.batch_size}",
        "stages.train.training.batch_size=32",
    )
    assert plan.stages[2].technique.training.batch_size == 32


def test_identical_configurations_have_identical_plans(row):
    assert built("recipe=row").plan_id() == built("recipe=row").plan_id()
    assert built("recipe=row").plan_id() != built("recipe=row", "stages.prune.ratio=0.25").plan_id()


def test_two_typos_and_a_wrong_type_in_a_recipe_come_in_one_message(write):
    write(
        "row",
        "model: lenet5\ndataset: digits\nsead: 1\nstages:\n"
        "  train: {technique: training/from_scratch, training: {epochs: many}}\n"
        "  prune: {technique: pruning/l1_norm, ratoi: 0.5}\n",
    )
    assert faults("recipe=row") == [
        "sead: there is no such key; did you mean 'seed'?",
        "stages.train.training.epochs: is 'many'; a whole number is needed",
        "stages.prune.ratoi: there is no such key; did you mean 'ratio'?",
    ]


def test_an_unknown_key_on_the_command_line_is_found_by_type(row):
    assert faults("recipe=row", "stages.prune.ratoi=0.5", "limits.step=1", "training.train.epoch=1") == [
        "training.train.epoch: there is no such key; did you mean 'epochs'?",
        "limits.step: there is no such key; did you mean 'steps'?",
        "stages.prune.ratoi: there is no such key; did you mean 'ratio'?",
    ]


def test_a_misspelt_stage_names_the_nearest(row):
    assert faults("recipe=row", "stages.prun.ratio=0.5") == ["stages.prun: names no technique; did you mean 'prune'?"]


def test_a_ratio_outside_its_range(row):
    assert faults("recipe=row", "stages.prune.ratio=1.5") == [
        "stages.prune: ratio is 1.5; allowed: 0 or more and less than 1"
    ]


def test_an_unknown_technique_names_the_nearest(row):
    assert faults("recipe=row", "stages.prune.technique=pruning/l1norm") == [
        "stages.prune.technique: there is no 'pruning/l1norm'; did you mean 'pruning/l1_norm'? "
        "(`compressbench list techniques` shows all)"
    ]


def test_plain_keys_of_a_wrong_type_or_range(row):
    assert faults("recipe=row", "seed=abc") == ["seed: is 'abc'; a whole number is needed"]
    assert faults("recipe=row", "seed=-1", "device=gpu", "threads=0") == [
        "seed: is -1; allowed: 0 or more",
        "device: is 'gpu'; allowed: auto, cpu, mps, cuda, cuda:1",
        "threads: is 0; allowed: 1 or more, or null",
    ]


def test_plain_keys_that_are_deleted_or_point_nowhere(row):
    assert faults("recipe=row", "seed=${nope}") == ["seed: is ${nope}, but there is no key 'nope'"]
    assert faults("recipe=row", "~seed", "outputs=", "~tracking") == [
        "seed: has no value; a whole number is needed",
        "tracking: has no value; a mapping is needed",
    ]
    assert faults("recipe=row", "outputs=") == ["outputs: is ''; allowed: a folder"]


def test_tracking_is_typed(row):
    assert faults("recipe=row", "tracking.enabled=maybe", "tracking.timeout_s=long") == [
        "tracking.enabled: is 'maybe'; true or false is needed",
        "tracking.timeout_s: is 'long'; a number is needed",
    ]


def test_a_stage_may_be_called_by_a_number(write):
    write("row", "extends: quickstart\nstages: {1: {technique: training/finetune}}\n")
    assert built("recipe=row").stages[-1].name == "1"


def test_fine_tuning_of_nothing_is_impossible(write):
    write("row", "model: lenet5\ndataset: digits\nstages: {finetune: {technique: training/finetune}}\n")
    assert faults("recipe=row") == [
        "stages.finetune: training/finetune needs a trained network, but no stage before it trains one"
    ]


def test_training_from_scratch_twice_says_which_stage_trained_first(row):
    assert faults("recipe=row", "+stages.more={technique: training/from_scratch}") == [
        "stages.more: training/from_scratch cannot take a network that is trained already (by stages.train)"
    ]


def test_pruning_the_same_mask_away_twice_is_impossible(row):
    again = "+stages.again={technique: pruning/magnitude, ratio: 0.5}"
    found = faults("recipe=row", "stages.prune.technique=pruning/magnitude", again)
    assert len(found) == 1
    assert found[0].startswith("stages.again: pruning/magnitude prunes the same weights again")


@pytest.mark.parametrize("quantizer", ["ptq_int8", "qat_int8"])
def test_no_training_comes_after_int8(row, quantizer):
    [fault] = faults(
        "recipe=row",
        f"+stages.quantize={{technique: quantization/{quantizer}}}",
        "+stages.more={technique: training/finetune}",
    )
    assert fault.startswith("stages.more: training/finetune cannot train int8 weights")
    assert "quantization/qat_int8" in fault
    assert fault.endswith("(by stages.quantize)")


@pytest.mark.parametrize("training", ["training/rewind", "training/reinitialize", "sharing/retrain_centroids"])
def test_what_sets_weights_anew_cannot_take_int8(row, training):
    found = faults(
        "recipe=row", "+stages.quantize={technique: quantization/ptq_int8}", f"+stages.more={{technique: {training}}}"
    )
    assert found
    assert all(fault.startswith(f"stages.more: {training} ") for fault in found)
    assert any(fault.endswith("(by stages.quantize)") for fault in found)


def test_given_weights_count_as_trained(row):
    assert faults("recipe=row", "~stages.train", "model.weights=some.pt") == []


def test_no_stages_measure_given_weights_and_nothing_else(write):
    write("row", "model: lenet5\ndataset: digits\n")
    assert built("recipe=row", "model.weights=some.pt").stages == ()
    assert faults("recipe=row") == ["stages: there are none, and model.weights is null, so there is nothing to measure"]
    [fault] = faults("recipe=row", "model.weights=some.pt", "debug=smoke")
    assert "debug=smoke takes no weights" in fault


def test_an_interpolation_that_points_nowhere_is_named(row):
    assert faults("recipe=row", "stages.train.training.lr=${training.trian.lr}") == [
        "stages.train.training.lr: is ${training.trian.lr}, but there is no key 'training.trian.lr'"
    ]


def test_a_missing_value_is_named(row):
    assert faults("recipe=row", "stages.train.training.epochs=???") == [
        "stages.train.training.epochs: has no value; a whole number is needed"
    ]


def test_missing_data_is_a_fault_and_the_plan_is_there_all_the_same(row, folder):
    overrides = ["recipe=row", "dataset=mnist", f"dataset.root={folder}/nowhere"]
    plan, found = build(compose(overrides), overrides)
    assert plan is not None
    assert [fault.where for fault in found] == ["dataset"]
    assert f"{folder}/nowhere" in found[0].what


def test_arguments_of_the_network_are_checked(row):
    assert faults("recipe=row", "model=resnet56", "model.depth=abc") == [
        "model.depth: is 'abc'; a whole number is needed"
    ]
    assert faults("recipe=row", "model=resnet56", "model.detph=20") == [
        "model.detph: there is no such key; did you mean 'depth'?"
    ]
    assert faults("recipe=row", "model=resnet56", "model.depth=57")[0].startswith("model: depth is 57")


def test_only_our_own_code_can_be_named(row):
    assert "os.system" in faults("recipe=row", "model._target_=os.system")[0]
    assert "there is no such key" in faults("recipe=row", "stages.prune._target_=os.system")[0]


def test_an_unknown_measure_names_the_nearest(row):
    assert faults("recipe=row", "metrics=[accuracy,sise]") == ["metrics: there is no 'sise'; did you mean 'size'?"]


def test_without_a_recipe_everything_it_would_name_is_missing():
    assert [fault.split(":")[0] for fault in faults("seed=1")] == ["recipe", "dataset", "model"]


def test_nodes_that_are_no_mappings(row):
    assert "stages: is 3; allowed: a mapping" in faults("recipe=row", "stages=3")
    assert faults("recipe=row", "stages.train=5")[0] == "stages.train: is 5; allowed: a mapping with `technique`"


def test_budget_and_reference_are_typed(row):
    assert faults("recipe=row", "budget.params=abc", "reference.top3=0.5") == [
        "budget.params: is 'abc'; a number or null is needed",
        "reference.top3: there is no such key; did you mean 'top5'?",
    ]
    assert built("recipe=row", "budget.params=1000").budget.limits == {"params": 1000}


def test_a_stage_cannot_be_called_given(row):
    [fault] = faults("recipe=row", "+stages.given={technique: training/finetune}")
    assert fault.startswith("stages.given: cannot be the name of a stage")


def test_a_stage_cannot_be_called_start(row):
    found = faults("recipe=row", "+stages.start={technique: training/finetune}")
    assert found[0].startswith("stages.start: cannot be the name of a stage")


def test_a_stage_has_a_name_that_the_command_line_can_write(write):
    write("row", "extends: quickstart\nstages: {prüfen: {technique: training/finetune}}\n")
    assert faults("recipe=row")[0].startswith("stages.prüfen: cannot be the name of a stage; allowed: A-Z")
