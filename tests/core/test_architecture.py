"""An architecture builds what the zoo or the user's own declared code says, and nothing else."""

from __future__ import annotations

import re
import sys
from types import ModuleType

import pytest
import torch
from torch import nn

from compressbench.core.architecture import Architecture, parameters_of, taken


class Net(nn.Module):
    """A network of a user: it takes another name for the classes, and keeps a table that is no parameter."""

    def __init__(self, num_classes: int, width: int = 4):
        super().__init__()
        self.fc = nn.Linear(width, num_classes)
        self.table = torch.arange(width)


@pytest.fixture(autouse=True)
def plugins(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module of the user's own that has been declared."""
    module = ModuleType("plugins")
    monkeypatch.setitem(sys.modules, "plugins", module)
    module.Net = Net  # type: ignore[attr-defined]
    module.number = lambda: 3  # type: ignore[attr-defined]
    module.broken = lambda: {}["nothing"]  # type: ignore[attr-defined]
    return module


def test_only_the_zoo_and_what_is_declared_is_ever_called() -> None:
    for target in ("os.system", "compressbench.cli.main.main", "compressbench.zoo.lenet.Nothing", "plugins.Nothing"):
        with pytest.raises(ValueError, match=r"network|plugins has no 'Nothing'"):
            Architecture(target).build()


def test_an_unknown_argument_names_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'classes'"):
        Architecture("compressbench.zoo.lenet.LeNet5", {"class": 10}).build()


@pytest.mark.parametrize(
    "target",
    [
        "compressbench.zoo.alexnet.Sequence",  # imported there, not defined
        "compressbench.zoo.alexnet.CHANNELS",
        "compressbench.zoo.alexnet.nn.Linear",
        "compressbench.zoo.torchvision_models.torchvision_weights",
        "compressbench.zoo.resnet_cifar.Block",
        "compressbench.zoo._initialization.he_normal",
        "compressbench.zoo.lenet.__class__",
        "compressbench.zoo..lenet.LeNet5",
    ],
)
def test_what_else_a_file_of_the_zoo_holds_is_never_called(target: str) -> None:
    with pytest.raises(ValueError, match="network"):
        Architecture(target, {}).builder()


def test_what_the_task_says_is_passed_where_a_callable_takes_it_under_the_name_it_has_there() -> None:
    said = {"in_channels": 3, "classes": 7, "image_size": 32}
    assert taken(said, parameters_of(Net, "plugins.Net")) == {"num_classes": 7}

    def others(in_chans: int, classes: int, num_classes: int, img_size: int = 224) -> None: ...

    assert taken(said, parameters_of(others, "")) == {"in_chans": 3, "classes": 7, "img_size": 32}
    assert taken(said, parameters_of(lambda *images, **options: None, "")) == {}


def test_a_network_of_ones_own_is_laid_out_in_full_and_leaves_the_random_state_alone() -> None:
    before = torch.get_rng_state()
    network = Architecture("plugins.Net", {"num_classes": 3}).lay_out()
    assert torch.equal(network.table, torch.arange(4))  # what stands in no file is what the constructor computed
    assert torch.equal(before, torch.get_rng_state())
    assert (
        Architecture("compressbench.zoo.vgg_cifar.VGG16Cifar", {"in_channels": 3, "classes": 2})
        .lay_out()
        .conv1.weight.is_meta
    )


@pytest.mark.parametrize(
    ("target", "arguments", "said"),
    [
        ("plugins.number", {}, "plugins.number returns a int; a network is a torch.nn.Module"),
        ("plugins.broken", {}, "plugins.broken raises KeyError: 'nothing'"),
        ("plugins.Net", {}, "plugins.Net needs the argument 'num_classes'; the task does not say it"),
        (
            "plugins.Net",
            {"num_classes": 2, "widht": 3},
            "'widht' is not an argument of plugins.Net; did you mean 'width'?",
        ),
        ("plugins.Net", {"num_classes": -2}, "plugins.Net raises RuntimeError: Trying to create tensor with negative"),
    ],
)
def test_what_a_callable_does_wrong_is_said_in_one_sentence(target: str, arguments: dict[str, int], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        Architecture(target, arguments).build()
