"""An architecture builds what the zoo or the user's own declared code says, and nothing else."""

from __future__ import annotations

import re

import pytest
import torch

from compressbench.core.architecture import Architecture, parameters_of, taken
from compressbench.core.plugins import use
from tests.users_plugins import write_plugins

PLUGIN = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, num_classes: int, width: int = 4):
        super().__init__()
        self.fc = nn.Linear(width, num_classes)
        self.table = torch.arange(width)  # no parameter, no buffer


def number() -> nn.Module:
    return 3


def broken() -> nn.Module:
    return {}["nothing"]


def small(num_classes):
    return Net(num_classes, 2)


def renamed(num_classes, **options):
    net = small(num_classes)
    net.extra = options
    return net


def either(num_classes):
    if num_classes > 2:
        return small(num_classes)
    return nn.Sequential(nn.Flatten())


def wipe(path):
    return open(path, "w")


def sometimes(path):
    if path:
        return small(3)
    return open(path)


def nothing(path):
    open(path, "w").close()
"""


@pytest.fixture(autouse=True)
def own() -> None:
    """A plugin of the user's own that a recipe has named."""
    write_plugins(PLUGIN)
    use("plugins.Net")


@pytest.mark.parametrize("name", ["Net", "small", "renamed", "either", "number", "broken"])
def test_a_class_of_networks_and_a_function_that_says_or_shows_that_it_returns_one_may_be_named(name: str) -> None:
    assert Architecture(f"plugins.{name}").builder().__name__ == name


@pytest.mark.parametrize("name", ["wipe", "sometimes", "nothing"])
def test_a_function_that_does_not_show_it_is_not_called(name: str) -> None:
    with pytest.raises(ValueError, match=r"'plugins\.\w+' is no network; allowed: .*`-> nn\.Module`"):
        Architecture(f"plugins.{name}", {"path": "x"}).build()


def test_only_the_zoo_and_what_is_declared_is_ever_called() -> None:
    for target in ("os.system", "compressbench.cli.main.main", "compressbench.zoo.lenet.Nothing", "plugins.Nothing"):
        with pytest.raises(ValueError, match=r"may not be named|cannot be imported"):
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
    with pytest.raises(ValueError, match=r"may not be named|cannot be imported|defined there|no network"):
        Architecture(target, {}).builder()


def test_what_the_task_says_is_passed_where_a_callable_takes_it_under_the_name_it_has_there() -> None:
    said = {"in_channels": 3, "classes": 7, "image_size": 32}
    assert taken(said, parameters_of(Architecture("plugins.Net").builder(), "")) == {"num_classes": 7}

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
