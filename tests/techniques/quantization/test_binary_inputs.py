"""Networks get binary inputs where they can have them, and what stands in the way is replaced or refused."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from compressbench.layers.binary import BinaryConv2d, BinaryLinear
from compressbench.techniques.quantization._binary_inputs import binarize_inputs
from tests.techniques.lending import ALEXNET, BND, PLAIN, StageContext, bare, seeded, subject_of

BOTH = ["conv", "linear"]
RESNET = "compressbench.zoo.resnet_cifar.ResNetCifar"


def kinds(model: nn.Module) -> dict[str, str]:
    return {name: type(module).__name__ for name, module in model.named_modules()}


def normalized(model: nn.Module) -> set[str]:
    return {name for name, module in model.named_modules() if getattr(module, "normalize", False)}


def real(model: nn.Module) -> set[str]:
    return {name for name, module in model.named_modules() if getattr(module, "binary_input", True) is False}


def test_every_layer_of_alexnet_becomes_binary_and_the_first_input_stays_real():
    subject = subject_of(ALEXNET, **BND)
    weights = dict(subject.model.named_parameters())
    names = binarize_inputs(subject, StageContext(), BOTH, [])
    assert names == [*(f"conv{n}.weight" for n in range(1, 6)), *(f"fc{n}.weight" for n in range(1, 4))]
    found = kinds(subject.model)
    assert {found[f"conv{n}"] for n in range(1, 6)} == {"BinaryConv2d"}
    assert {found[f"fc{n}"] for n in range(1, 4)} == {"BinaryLinear"}
    assert {found[name] for name in found if name.startswith("relu")} == {"Identity"}
    assert {found["dropout_fc1"], found["dropout_fc2"]} == {"Identity"}
    assert real(subject.model) == {"conv1"}
    assert normalized(subject.model) == {"fc1", "fc2", "fc3"}, "convolutions have batch norm behind them"
    assert all(subject.model.get_parameter(name) is weights[name] for name in names)
    assert subject.model.conv2.padding == (2, 2)
    assert subject.model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_a_network_without_batch_norm_normalizes_in_every_layer():
    subject = subject_of(ALEXNET, **PLAIN)
    binarize_inputs(subject, StageContext(), BOTH, [])
    assert normalized(subject.model) == {*(f"conv{n}" for n in range(1, 6)), "fc1", "fc2", "fc3"}


def test_in_front_of_a_layer_that_is_kept_nothing_changes():
    subject = subject_of(ALEXNET, **BND)
    binarize_inputs(subject, StageContext(), BOTH, ["first", "last"])
    found = kinds(subject.model)
    assert (found["conv1"], found["fc3"], found["relu_fc2"], found["relu_fc1"]) == (
        "Conv2d",
        "Linear",
        "ReLU",
        "Identity",
    )
    assert real(subject.model) == set()
    assert normalized(subject.model) == {"fc1", "fc2"}


def test_a_residual_network_needs_a_norm_in_its_last_layer_only():
    subject = subject_of(RESNET, depth=8)
    binarize_inputs(subject, StageContext(), BOTH, [])
    assert normalized(subject.model) == {"fc"}
    assert real(subject.model) == {"conv1"}
    found = kinds(subject.model)
    assert "ReLU" not in found.values()
    assert found["stage2.0.conv1"] == "BinaryConv2d"


def test_a_layer_that_is_kept_without_batch_norm_cannot_stand_before_a_sign():
    with pytest.raises(ValueError, match=r"conv2 would take the sign .* no batch norm"):
        binarize_inputs(subject_of(ALEXNET, **PLAIN), StageContext(), BOTH, ["conv1"])


class Hidden(nn.Module):
    """Its ReLU is a function, which nobody can replace."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.conv2 = nn.Conv2d(4, 4, 3)

    def forward(self, images):
        return self.conv2(functional.relu(self.bn1(self.conv1(images)))).flatten(1)


def test_an_input_that_is_never_negative_is_refused():
    with pytest.raises(ValueError, match="the input of conv2 is never negative"):
        binarize_inputs(bare(seeded(Hidden)), StageContext(), BOTH, [])


class Odd(nn.Module):
    """A layer over sequences, and one that never runs."""

    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(32, 8)
        self.odd = nn.Conv1d(96, 8, 1)
        self.unused = nn.Linear(3, 3)

    def forward(self, images):
        return self.odd(self.fc1(images).flatten(1, 2)).flatten(1)


def test_what_cannot_be_binary_is_reported():
    subject = bare(seeded(Odd))
    assert binarize_inputs(subject, StageContext(), BOTH, []) == ["fc1.weight"]
    assert {skipped.what: skipped.why for skipped in subject.skipped} == {
        "odd": "there is no binary Conv1d",
        "unused": "it takes no part in a forward pass",
    }


def test_what_is_named_and_cannot_be_binary_is_an_error():
    with pytest.raises(ValueError, match="odd cannot be binary: there is no binary Conv1d"):
        binarize_inputs(bare(seeded(Odd)), StageContext(), ["fc1", "odd"], [])
    with pytest.raises(ValueError, match=r"no layer is left to work on: .* cannot be binary"):
        binarize_inputs(bare(seeded(Odd)), StageContext(), ["conv"], [])


def test_layers_without_a_bias_stay_without_one():
    subject = subject_of(RESNET, depth=8)
    binarize_inputs(subject, StageContext(), BOTH, [])
    conv, fc = subject.model.conv1, subject.model.fc
    assert isinstance(conv, BinaryConv2d)
    assert conv.bias is None
    assert isinstance(fc, BinaryLinear)
    assert fc.bias is not None
