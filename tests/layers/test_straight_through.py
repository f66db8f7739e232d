"""A value keeps its bits, and its gradient goes elsewhere."""

import torch

from compressbench.layers.straight_through import straight_through


def test_the_value_is_exact_and_the_gradient_passes_unchanged():
    latent = torch.tensor([0.3, -1e-9, 5.0], requires_grad=True)
    value = torch.tensor([0.1, 0.7, -1e-30])
    found = straight_through(latent, value)
    assert torch.equal(found, value)
    found.backward(torch.tensor([2.0, -3.0, 0.5]))
    assert latent.grad.tolist() == [2.0, -3.0, 0.5]


def test_the_value_gets_no_gradient():
    latent, value = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    straight_through(latent, 3 * value).sum().backward()
    assert value.grad is None
