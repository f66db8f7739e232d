"""The rows of low-rank papers come to the printed parameters and MACs, on networks that have shapes alone."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from torch import Tensor

from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.metrics.macs import mac_counts
from compressbench.metrics.parameters import parameter_counts
from compressbench.techniques._layers import layers_of
from compressbench.techniques.lowrank import separable, svd, tucker2
from compressbench.techniques.lowrank._truncation import Decomposition
from compressbench.zoo.torchvision_models import torchvision_model
from tests.techniques.lending import StageContext, bare
from tests.techniques.test_contract import fields_of
from tests.test_recipes import recipe

PICTURE = torch.zeros(1, 3, 224, 224)
ALEXNET, VGG16 = (61_100_840, 714_188_480), (138_357_544, 15_470_264_320)
"""Parameters and MACs of torchvision's networks before compression."""


def shapes_alone(*shape: int) -> Tensor:
    return torch.empty(*shape, device="meta")


def decomposed(matrices: Tensor) -> Decomposition:
    count, rows, columns = matrices.shape
    rank = min(rows, columns)
    sides = shapes_alone(count, rows, rank), shapes_alone(count, rank), shapes_alone(count, rank, columns)
    return Decomposition(*sides)


def tucker(kernels: Tensor, ranks: tuple[int, int], iterations: int) -> tuple[Tensor, Tensor, Tensor]:
    groups, rows, columns, *kernel = kernels.shape
    inputs, outputs = shapes_alone(groups, columns, ranks[0]), shapes_alone(groups, rows, ranks[1])
    return inputs, outputs, shapes_alone(groups, ranks[1], ranks[0], *kernel)


@pytest.fixture
def without_values(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (svd, tucker2, separable):
        monkeypatch.setattr(module, "decomposed", decomposed)
    monkeypatch.setattr(tucker2, "tucker", tucker)
    monkeypatch.setattr(separable, "settle", lambda *given: None)


def network(name: str) -> Subject:
    with torch.device("meta"):
        return bare(torchvision_model(3, 1000, recipe(name)["model"]["name"].removeprefix("imagenet_")).eval())


def techniques(name: str) -> list[Technique]:
    """Return the techniques of a recipe's stages but fine-tuning, as its YAML and the catalogue's set their fields."""
    found = []
    for stage in recipe(name)["stages"].values():
        kind, fields = stage["technique"], {key: value for key, value in stage.items() if key != "technique"}
        if kind.startswith("lowrank/"):
            made, defaults = fields_of(kind)
            found.append(made(**{**defaults, **fields}))
    return found


@pytest.mark.parametrize(
    ("name", "before", "smaller", "faster"),
    [
        ("table1/imagenet_alexnet_kim2016", ALEXNET, 5.46, 2.67),
        ("kim2016/imagenet_vgg16", VGG16, 1.09, 4.93),
        ("table1/imagenet_alexnet_tai2016", ALEXNET, 5.0, None),
        ("table1/imagenet_vgg16_tai2016", VGG16, 2.75, 2.05),
        ("li2023/imagenet_alexnet_cp", ALEXNET, 5.0, None),
        ("li2023/imagenet_alexnet_bn", ALEXNET, 4.94, None),
        ("li2023/imagenet_vgg16_cp", VGG16, 2.75, None),
        ("li2023/imagenet_vgg16_bn", VGG16, 2.72, None),
    ],
)
@pytest.mark.usefixtures("without_values")
def test_a_row_is_as_many_times_smaller_and_faster_as_printed(
    name: str, before: tuple[int, int], smaller: float, faster: float | None
) -> None:
    subject = network(name)
    for technique in techniques(name):
        subject = technique.apply(subject, StageContext())
    params, reference = parameter_counts(subject.model)["params_without_bn"], recipe(name)["reference"]
    assert before[0] / params == pytest.approx(smaller, abs=0.01)
    assert params == pytest.approx(reference["params"], rel=0.02)
    macs = mac_counts(subject.model, PICTURE)["macs"]
    if faster is not None:
        assert before[1] / macs == pytest.approx(faster, abs=0.02)
        assert macs == pytest.approx(reference["macs"], rel=0.02)
    assert subject.skipped == []


@pytest.mark.parametrize(("name", "smaller"), [("alexnet", 10), ("vgg16", 14.3)])
def test_what_stays_of_a_low_rank_and_a_sparse_part_is_as_printed(name: str, smaller: float) -> None:
    """Rank and non-zeros of a layer together are all that its ratio leaves: `test_lowrank_sparse` counts them."""
    row = f"table1/imagenet_{name}_yu2017"
    (technique,) = techniques(row)
    params = 0
    for layer in layers_of(network(row).model).values():
        kind = "conv" if layer.weight.dim() == 4 else "linear"
        ratio = technique.ratios.get(kind, technique.ratio)
        params += int(layer.weight.numel() * (1 - Fraction(str(ratio)))) + layer.bias.numel()
    assert params == pytest.approx(recipe(row)["reference"]["params"], rel=0.005)
    before = {"alexnet": ALEXNET, "vgg16": VGG16}[name]
    assert before[0] / params == pytest.approx(smaller, rel=0.005)
