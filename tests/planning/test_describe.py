"""What an entry is: parameters with type, default, what is allowed, meaning; and the paper."""

from __future__ import annotations

import pytest

from compressbench.planning import catalogue
from compressbench.planning.describe import Parameter, descriptions


def described(name: str) -> dict[str, Parameter]:
    (found,) = descriptions(name)
    return {parameter.name: parameter for parameter in found.parameters}


def test_a_technique_has_its_paper_and_its_parameters():
    (found,) = descriptions("pruning/magnitude")
    assert found.paper.startswith("Han et al. 2015")
    assert found.text == "Set the weights with the smallest absolute values to zero, and keep them there."
    parameters = {parameter.name: parameter for parameter in found.parameters}
    ratio = parameters["ratio"]
    assert (ratio.type, ratio.default, ratio.allowed) == ("a number", "0.5", "0 or more and less than 1")
    assert ratio.meaning.startswith("fraction of weights set to zero")
    assert parameters["scope"].allowed == "global, per_kind, per_layer"
    assert parameters["targets"].default == "[conv, linear]"


def test_what_is_allowed_is_what_the_class_refuses_the_rest_of():
    assert described("quantization/inq")["bits"].allowed == "2 to 8"
    assert described("sharing/kmeans")["bias_bits"].allowed == "1 to 8, or null"
    assert described("mnist")["image_size"].allowed == "28 or more"


def test_a_default_that_comes_from_the_training_says_so():
    lr = described("training/finetune")["training.lr"]
    assert lr.default == "training.finetune.lr (steps_160: 0.001)"
    assert lr.meaning == "the peak learning rate."


def test_a_network_has_the_arguments_that_are_not_the_datasets():
    found = described("alexnet")
    assert list(found) == [
        *("batch_norm", "dropout", "conv_bias", "hidden", "pool_first", "channels", "last_pool", "weights")
    ]
    assert (found["hidden"].type, found["hidden"].default) == ("a list of whole number", "[512, 512]")
    assert found["pool_first"].default == "false"


@pytest.mark.parametrize("group", ["technique", "model", "dataset", "metric"])
def test_every_entry_can_be_described(group):
    for entry in catalogue.group(group):
        assert group in [found.group for found in descriptions(entry.name)]


def test_every_parameter_of_a_technique_but_few_has_a_meaning():
    parameters = [each for entry in catalogue.techniques() for each in described(entry.name).values()]
    silent = [each.name for each in parameters if not (each.meaning or each.allowed)]
    assert len(silent) < 0.1 * len(parameters), silent


def test_a_training_that_may_be_left_out_is_shown_value_by_value():
    (found,) = descriptions("distillation/kd")
    shown = {each.name: each for each in found.parameters}
    assert shown["training.epochs"].default == "training.train.epochs (steps_160: 160)"
    assert "training" not in shown
