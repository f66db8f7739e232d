"""The networks of Romero et al. 2015 have the layers and the counts that the paper prints."""

import pytest
import torch
from torch import nn

from compressbench.metrics.macs import mac_counts
from compressbench.metrics.parameters import parameter_counts
from compressbench.zoo.fitnets import FitNet4, FitNetsTeacher, Maxout


def counts(model: nn.Module) -> tuple[int, int]:
    macs = mac_counts(model, torch.zeros(1, 3, 32, 32, device="meta"))
    return parameter_counts(model)["params"], macs["macs"]


def test_maxout_is_the_largest_of_neighbouring_channels():
    images = torch.tensor([[1.0, 5.0, -2.0, -3.0]])[:, :, None, None]
    assert Maxout(2)(images).flatten().tolist() == [5.0, -2.0]
    assert Maxout(4)(images[:, :, 0, 0]).tolist() == [[5.0]]


def test_the_student_has_19_layers_and_2_5_million_parameters_and_the_teacher_9():
    """Table 1 of the paper: about 9 M for the teacher, about 2.5 M for FitNet-4, 3.6 times fewer."""
    with torch.device("meta"):
        student, teacher = FitNet4(3, 10), FitNetsTeacher(3, 10, 0.5)
    layers = [each for each in student.modules() if isinstance(each, nn.Conv2d | nn.Linear)]
    assert len(layers) == 19
    (params, _), (theirs, _) = counts(student), counts(teacher)
    assert params == pytest.approx(2.5e6, rel=0.02)
    assert theirs == pytest.approx(9.0e6, rel=0.05)
    by_hand = 36_864 + 192 + 2_359_296 + 384 + 1_843_200 + 384 + 1_728 * 2_500 + 2_500 + 5_010
    assert theirs == by_hand


def test_both_run_and_other_dropouts_are_refused():
    assert FitNet4(3, 10)(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    assert FitNetsTeacher(1, 100, 0.0)(torch.zeros(2, 1, 32, 32)).shape == (2, 100)
    with pytest.raises(ValueError, match=r"dropout is 1.0; allowed: 0 or more and less than 1"):
        FitNetsTeacher(3, 10, 1.0)
