"""Features named in pairs: found, with their shapes, or refused in words."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from compressbench.core.source import Source
from compressbench.techniques.distillation._features import Pair, check_features, drawn, pairs_of
from compressbench.techniques.distillation.similarity_preserving import SimilarityPreserving
from tests.techniques.distillation.taught import context, network


def named(features: list[str], teacher_features: list[str]) -> SimilarityPreserving:
    return SimilarityPreserving(Source("teacher"), features, teacher_features, 1.0)


def test_pairs_have_the_shapes_of_one_example_and_networks_stay_as_they_were() -> None:
    student, teacher = network(2).model.train(), network(8).model.eval()
    found = pairs_of(named(["conv1", "fc"], ["conv2", "fc"]), student, teacher, context())
    assert found == [Pair("conv1", "conv2", (2, 8, 8), (16, 4, 4)), Pair("fc", "fc", (10,), (10,))]
    assert pairs_of(named(["conv1"], []), student, teacher, context())[0].teacher_name == "conv1"
    assert student.training
    assert not teacher.training
    assert not any(module._forward_hooks for model in (student, teacher) for module in model.modules())


class Odd(nn.Module):
    """Has a layer that it does not run, and one that returns two tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.idle, self.lstm = nn.Linear(1, 1), nn.LSTM(64, 10, batch_first=True)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.lstm(inputs.flatten(2))[0][:, 0]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("features", "teacher_features", "said"),
    [
        (["conv3"], ["fc"], "features has 'conv3', which Sequential does not have; did you mean 'conv2'"),
        (["fc"], ["fd"], "teacher_features has 'fd', which Odd does not have"),
        (["fc"], ["idle"], "teacher_features has 'idle', which is not run"),
        (["fc"], ["lstm"], "teacher_features has 'lstm', which returns a tuple; allowed: modules that return a tensor"),
    ],
)
def test_what_is_not_there_is_said(features: list[str], teacher_features: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        pairs_of(named(features, teacher_features), network(2).model, Odd(), context())


def test_names_are_needed_and_as_many_of_both() -> None:
    with pytest.raises(ValueError, match=r"features is \[\]; allowed: names of the student's modules"):
        named([], [])
    with pytest.raises(ValueError, match=r"teacher_features is \['a'\]; allowed: 2 names, as many as features, or"):
        named(["a", "b"], ["a"])
    check_features(named(["a", "b"], ["b", "c"]))


def test_what_is_learned_is_drawn_by_the_generator_alone() -> None:
    state = torch.get_rng_state()
    one, other = (
        drawn(lambda: nn.Linear(3, 3), torch.Generator().manual_seed(seed)).weight.tolist() for seed in (1, 2)
    )
    assert one != other
    assert one == drawn(lambda: nn.Linear(3, 3), torch.Generator().manual_seed(1)).weight.tolist()
    assert torch.equal(torch.get_rng_state(), state)
