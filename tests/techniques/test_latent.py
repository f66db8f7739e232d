"""Latent weights: trained through a function, baked into a plain layer when it is over."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from compressbench.core.architecture import Architecture
from compressbench.core.constraint import Mask
from compressbench.core.subject import Subject
from compressbench.techniques._latent import latent, latent_name
from tests.techniques.lending import bare, seeded


class Doubled(nn.Module):
    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return 2 * weight


class Scaled(nn.Module):
    """A function with a parameter of its own, which is trained too."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(3.0))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return self.scale * weight


@pytest.fixture
def subject() -> Subject:
    return seeded(lambda: bare(nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2))))


def assert_plain(model: nn.Module) -> None:
    assert not any(parametrize.is_parametrized(module) for module in model.modules())
    assert [type(module) for module in model] == [nn.Linear, nn.ReLU, nn.Linear]
    assert list(model.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert [name for name, _ in model.named_parameters()] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert all(parameter.is_leaf and parameter.requires_grad for parameter in model.parameters())


def test_the_function_is_seen_while_it_lasts_and_baked_afterwards(subject: Subject) -> None:
    before, images = subject.model[0].weight.detach().clone(), torch.randn(4, 3)
    with latent(subject, {"0.weight": Doubled()}):
        assert torch.equal(subject.model[0].weight, 2 * before)
        seen = subject.model(images).detach()
    assert_plain(subject.model)
    assert torch.equal(subject.model[0].weight, 2 * before)
    assert torch.equal(subject.model(images), seen)


def test_the_optimizer_moves_the_latent_weights_and_what_the_function_owns(subject: Subject) -> None:
    before, function = subject.model[0].weight.detach().clone(), Scaled()
    with latent(subject, {"0.weight": function}):
        names = dict(subject.model.named_parameters())
        assert latent_name("0.weight") in names
        optimizer = torch.optim.SGD(subject.model.parameters(), lr=0.1)
        subject.model(torch.randn(20, 3)).square().sum().backward()
        optimizer.step()
        moved = names[latent_name("0.weight")].detach().clone()
        scale = function.scale.detach().clone()
    assert not torch.equal(moved, before)
    assert scale != 3.0
    assert torch.equal(subject.model[0].weight, scale * moved)


def test_promises_are_kept_by_the_latent_weights_and_named_as_before_afterwards(subject: Subject) -> None:
    keep = torch.tensor([[True, False, True], [True, True, True]])
    subject.constraints = [Mask("0.weight", keep), Mask("2.weight", torch.ones(2, 2, dtype=torch.bool))]
    with latent(subject, {"0.weight": Doubled()}):
        assert [mask.parameter for mask in subject.constraints] == [latent_name("0.weight"), "2.weight"]
        subject.enforce()
        assert subject.model[0].weight[0, 1] == 0
    assert [mask.parameter for mask in subject.constraints] == ["0.weight", "2.weight"]
    assert all(mask.holds(subject.model) for mask in subject.constraints)


def test_an_exception_inside_leaves_a_plain_network_and_goes_on(subject: Subject) -> None:
    before = subject.model[0].weight.detach().clone()
    subject.constraints = [Mask("0.weight", torch.ones(2, 3, dtype=torch.bool))]
    with pytest.raises(RuntimeError, match="the power went"), latent(subject, {"0.weight": Doubled()}):
        raise RuntimeError("the power went")
    assert_plain(subject.model)
    assert torch.equal(subject.model[0].weight, 2 * before)
    assert subject.constraints[0].holds(subject.model)


def test_several_parameters_of_one_layer_keep_their_order() -> None:
    architecture = Architecture("compressbench.zoo.lenet.LeNet5", {"in_channels": 1, "classes": 10, "image_size": 28})
    subject = Subject(architecture.build(), architecture)
    wanted = [(name, tensor.shape) for name, tensor in subject.model.state_dict().items()]
    with latent(subject, {"conv1.weight": Doubled(), "conv1.bias": Doubled(), "fc1.weight": Doubled()}):
        pass
    assert [(name, tensor.shape) for name, tensor in subject.model.state_dict().items()] == wanted
    subject.clone()  # a network with parametrizations could not be copied safely


def test_a_weight_that_two_layers_share_is_refused_and_the_network_left_alone() -> None:
    model = nn.Sequential(nn.Embedding(4, 3), nn.Linear(3, 4, bias=False))
    model[1].weight = model[0].weight
    with (
        pytest.raises(ValueError, match=r"1\.weight is 0\.weight too, and only one of the two can be trained so"),
        latent(bare(model), {"1.weight": Doubled()}),
    ):
        pass
    assert model[1].weight is model[0].weight
    assert not any(parametrize.is_parametrized(module) for module in model.modules())
