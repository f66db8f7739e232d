"""A mask over the weights that changes while they are trained."""

import torch

from compressbench.core.constraint import Mask
from compressbench.techniques.pruning._masked import Masked, earlier_mask
from tests.techniques.lending import bare

KEPT = torch.tensor([[1.0, 0.0, 1.0]])


def gradient(spliceable: bool) -> list[list[float]]:
    weight = torch.tensor([[2.0, 3.0, 5.0]], requires_grad=True)
    product = Masked(KEPT, spliceable)(weight)
    assert product.tolist() == [[2, 0, 5]]
    product.backward(torch.tensor([[7.0, 11.0, 13.0]]))
    assert weight.grad is not None
    return weight.grad.tolist()


def test_the_gradient_reaches_masked_weights_only_where_they_may_be_spliced_in_again() -> None:
    assert gradient(spliceable=True) == [[7, 11, 13]]
    assert gradient(spliceable=False) == [[7, 0, 13]]


def test_mask_and_iteration_are_part_of_what_a_checkpoint_stores() -> None:
    assert Masked(KEPT, True).state_dict().keys() == {"mask", "iteration"}


def test_an_earlier_mask_is_where_it_starts() -> None:
    subject = bare(torch.nn.Linear(3, 1))
    assert earlier_mask(subject, "weight").tolist() == [[1, 1, 1]]
    subject.constraints = [Mask("weight", KEPT.bool())]
    assert earlier_mask(subject, "weight").tolist() == [[1, 0, 1]]
    assert earlier_mask(subject, "bias").tolist() == [1]
