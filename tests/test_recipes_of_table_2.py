"""The rows of the survey's Table 2 say what it prints, and their networks have its counts where no training decides."""

from __future__ import annotations

import pytest
import torch

from compressbench.metrics.parameters import parameter_counts
from compressbench.zoo.torchvision_models import torchvision_model
from tests.test_recipes import EVERY, recipe

# Parameters before and after, as Table 2 prints them or as its percentages make them.
TABLE_2 = {
    "table2/mnist_lenet5_guo2016": (4.31e5, 4.0e3),
    "table2/cifar10_vgg16_li2017": (1.5e7, 5.4e6),
    "table2/cifar100_vgg16_chen2018": (1.5e7, 1.5e7 * (1 - 0.789)),
    "table2/cifar10_fitnet4_romero2015": (9.0e6, 2.5e6),
    "table2/cifar10_resnet56_li2017": (8.5e5, 7.3e5),
    "table2/cifar10_resnet56_chen2018": (8.5e5, 4.9e5),
}
BESIDE = {"table2/cifar10_fitnet4_student", "table2/cifar10_fitnet4_teacher"}
"""Rows that a row is held against."""


@pytest.mark.parametrize("name", TABLE_2)
def test_the_reference_of_a_row_of_table_2_is_what_the_survey_prints(name: str) -> None:
    reference = recipe(name)["reference"]
    assert reference["source"] == "Choudhary et al. 2020, Table 2"
    assert (reference["before"]["params"], reference["params"]) == pytest.approx(TABLE_2[name], rel=2e-3)


def test_table_2_has_the_rows_that_are_printed() -> None:
    assert {name for name in EVERY if name.startswith("table2/")} == TABLE_2.keys() | BESIDE


def test_the_student_without_a_teacher_is_the_one_with_it() -> None:
    alone, taught = (recipe(f"table2/cifar10_fitnet4_{row}") for row in ("student", "romero2015"))
    assert alone["model"] == taught["model"]
    assert alone["stages"]["train"]["training"] == taught["stages"]["distill"]["training"]


def test_1600_neurons_of_fc6_are_what_srinivas_and_babu_remove_of_caffenet() -> None:
    """60.9 M to 39.6 M, both cut off after a digit: 60,965,224 less 1,600 neurons that read 9,216 and feed 4,096."""
    found = recipe("table1/imagenet_caffenet_srinivas2015")
    ratio, reference = found["stages"]["prune"]["ratio"], found["reference"]
    gone = int(4_096 * ratio)
    assert gone == 1_600
    assert int((60_965_224 - gone * (9_216 + 1 + 4_096)) / 1e5) == 396
    with torch.device("meta"):
        whole = parameter_counts(torchvision_model(3, 1000, "alexnet"))["params"]
    assert whole - gone * 13_313 == pytest.approx(reference["params"], rel=reference["tolerance"]["params"])
    assert whole - 60_965_224 == 135_616
