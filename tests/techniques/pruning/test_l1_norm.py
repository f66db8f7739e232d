"""L1-norm pruning removes what Li et al. 2017 remove."""

import pytest
import torch

from compressbench.techniques.pruning._criteria import l1_norms
from compressbench.techniques.pruning.l1_norm import L1NormPruning
from tests.techniques.lending import ALEXNET, PLAIN, StageContext, subject_of


def test_the_filters_with_the_smallest_sum_of_absolute_weights_go():
    subject = subject_of(ALEXNET, **PLAIN)
    weight, bias = subject.model.conv2.weight.detach().clone(), subject.model.conv2.bias.detach().clone()
    stay = sorted(sorted(range(192), key=lambda i: float(weight[i].abs().sum()))[96:])
    pruned = L1NormPruning(["conv2"], 0.5, {}, [], 1).apply(subject, StageContext()).model
    assert torch.equal(pruned.conv2.weight, weight[stay])
    assert torch.equal(pruned.conv2.bias, bias[stay])
    assert pruned.conv3.in_channels == 96


def test_scores_are_of_the_original_weights_for_all_layers():
    """Inputs that an earlier layer loses still count: the "independent" strategy."""
    subject = subject_of(ALEXNET, **PLAIN)
    with torch.no_grad():
        subject.model.conv1.weight[:32] = 0  # these go
        subject.model.conv2.weight[:96, :32] = 100  # reads what goes, heavily
    heavy = subject.model.conv2.weight[:96, 32:].detach().clone()
    pruned = L1NormPruning(["conv1", "conv2"], 0.5, {}, [], 1).apply(subject, StageContext()).model
    assert torch.equal(pruned.conv2.weight, heavy)


def test_the_score_of_a_filter_is_its_l1_norm():
    layer = torch.nn.Linear(2, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, -2.0], [0.5, 0.25]]))
    assert l1_norms(layer).tolist() == [3.0, 0.75]


def test_filters_that_stay_are_rounded_up_to_multiples_when_asked():
    subject = L1NormPruning(["conv"], 0.3, {}, ["conv1"], 16).apply(subject_of(ALEXNET, **PLAIN), StageContext())
    widths = [subject.model.get_submodule(f"conv{number}").out_channels for number in range(1, 6)]
    assert widths == [64, 144, 272, 192, 192]  # 134, 268, 179, 179 without


@pytest.mark.parametrize("round_to", [0, -16])
def test_rounding_to_less_than_one_is_refused(round_to):
    with pytest.raises(ValueError, match=r"round_to is .*; allowed: 1"):
        L1NormPruning(["conv"], 0.5, {}, [], round_to)


def test_an_unknown_layer_is_refused_before_anything_is_removed():
    subject = subject_of(ALEXNET, **PLAIN)
    with pytest.raises(ValueError, match="did you mean 'conv5'"):
        L1NormPruning(["conv", "conv55"], 0.5, {}, [], 1).apply(subject, StageContext())
    assert subject.model.conv1.out_channels == 64
