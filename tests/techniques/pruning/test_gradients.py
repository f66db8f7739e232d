"""Outputs times gradients say how the loss changes when a filter's output shrinks."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from compressbench.techniques.pruning._gradients import products
from tests.techniques.lending import StageContext
from tests.techniques.pruning.gated import network


def found(model: nn.Module, context: StageContext, examples: int = 16) -> list[dict[str, Tensor]]:
    return list(products(model, {"bn1": "conv1", "conv2": "conv2"}, context, examples))


def test_products_are_the_derivatives_of_each_examples_loss_by_a_gate_behind_the_batch_norm():
    model, context = network().requires_grad_(False), StageContext(side=8)
    (batch,) = found(model, context)
    model.gates = torch.ones(16, 6, requires_grad=True)
    losses = functional.cross_entropy(model.eval()(context.images), context.labels, reduction="sum")
    expected = torch.autograd.grad(losses, model.gates)[0]  # an example's loss hangs on its own gates only
    torch.testing.assert_close(batch["conv1"], expected)
    assert batch["conv2"].shape == (16, 4)
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_nothing_is_left_behind_in_the_network():
    model = network().train()
    found(model, StageContext(side=8))
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


def test_as_many_batches_are_taken_as_the_examples_need():
    assert [len(each["conv1"]) for each in found(network(), StageContext(side=8), 70)] == [32, 32, 32]
