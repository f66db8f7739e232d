"""What is being compressed."""

import torch
from torch import nn

from compressbench.core.architecture import Architecture
from compressbench.core.constraint import Frozen, Mask
from compressbench.core.subject import Subject


def test_a_subject_moves_with_the_tensors_of_its_promises() -> None:
    ones = torch.ones(1, 2)
    promises = [Mask("weight", ones.bool()), Frozen("weight", ones.bool(), ones)]
    subject = Subject(nn.Linear(2, 1), Architecture("compressbench.zoo.mlp.MLP"), constraints=[*promises])
    subject.to(torch.device("meta"))
    tensors = [*subject.model.parameters(), promises[0].keep, promises[1].where, promises[1].value]  # type: ignore[union-attr]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert [promise.parameter for promise in promises] == ["weight", "weight"]
