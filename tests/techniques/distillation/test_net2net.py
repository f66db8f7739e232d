"""What a wider or deeper network computes before it is trained is what its teacher does."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from compressbench.core.source import Source
from compressbench.core.subject import Subject
from compressbench.techniques.distillation.net2net import Net2Net, grown, pairs
from tests.techniques.lending import StageContext, bare, seeded, subject_of, trained_by
from tests.techniques.quantization.learned import FIELDS


def network(widths: tuple[int, int, int], deeper: bool = False) -> nn.Module:
    """Two convolutions with batch norm and two linear layers, all with ReLU; deeper: one more of each."""
    one, two, hidden = widths
    layers: dict[str, nn.Module] = {"conv1": nn.Conv2d(1, one, 3), "bn1": nn.BatchNorm2d(one), "relu1": nn.ReLU()}
    layers |= {"conv2": nn.Conv2d(one, two, 3, bias=False), "bn2": nn.BatchNorm2d(two), "relu2": nn.ReLU()}
    if deeper:
        layers |= {"conv3": nn.Conv2d(two, two, 3, padding=1), "bn3": nn.BatchNorm2d(two), "relu3": nn.ReLU()}
    layers |= {"flatten": nn.Flatten(), "fc1": nn.Linear(two * 16, hidden), "relu4": nn.ReLU()}
    if deeper:
        layers |= {"fc2": nn.Linear(hidden, hidden), "relu5": nn.ReLU()}
    model = nn.Sequential()
    for name, layer in {**layers, "out": nn.Linear(hidden, 3)}.items():
        model.add_module(name, layer)
    return model


def teacher() -> nn.Module:
    """With batch norms that have seen something."""
    model = seeded(lambda: network((4, 6, 5)))
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if "bn" in name and tensor.dim():
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return model.eval()


def context() -> StageContext:
    return StageContext(channels=1, side=8, classes=3)


def images() -> Tensor:
    return torch.randn(9, 1, 8, 8, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize(
    ("widths", "deeper"),
    [
        ((4, 6, 5), []),
        ((9, 6, 5), []),
        ((9, 13, 30), []),
        ((4, 6, 5), ["conv3", "fc2"]),
        ((7, 20, 9), ["conv3", "fc2"]),
    ],
)
def test_the_student_computes_what_its_teacher_does(widths: tuple[int, int, int], deeper: list[str]) -> None:
    student, original = network(widths, bool(deeper)), teacher()
    grown(student, original, deeper, context())
    with torch.no_grad():
        assert torch.allclose(student.eval()(images()), original(images()), atol=1e-5)


def test_a_hidden_unit_that_is_there_twice_is_read_with_half_its_weight() -> None:
    """Figure 2 of the paper: a copy of a unit has its weights, and both are read by half."""
    small, wide = (
        nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)),
        nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1)),
    )
    ((weight, where),) = grown(wide, small, [], context())
    assert where.tolist() == [False, False, False, True]
    (twin,) = [k for k in range(3) if torch.equal(wide[0].weight[3], small[0].weight[k])]
    assert weight is wide[0].weight
    half = small[2].weight[0, twin] / 2
    assert wide[2].weight[0, [twin, 3]].tolist() == [half, half]
    assert [wide[2].weight[0, k] for k in range(3) if k != twin] == [
        small[2].weight[0, k] for k in range(3) if k != twin
    ]


def net2net(**changes: Any) -> Net2Net:
    return trained_by(
        Net2Net, **{**FIELDS, "epochs": 1, "teacher": Source("teacher"), "deeper": [], "noise": 0.0, **changes}
    )


def lent(original: nn.Module) -> StageContext:
    found = context()
    found.stages["teacher"] = bare(original)
    found.train = lambda subject, config, *others: subject  # type: ignore[assignment, method-assign]
    return found


def test_noise_is_added_to_the_copies_alone() -> None:
    plain, noisy = (
        net2net(noise=noise).apply(bare(seeded(lambda: network((6, 6, 5)))), lent(teacher())).model
        for noise in (0.0, 0.1)
    )
    differ = (plain.conv1.weight - noisy.conv1.weight).abs().flatten(1).amax(1) > 0
    assert differ.tolist() == [False] * 4 + [True] * 2
    assert all(
        torch.equal(tensor, noisy.state_dict()[name])
        for name, tensor in plain.state_dict().items()
        if name != "conv1.weight"
    )


def test_a_residual_network_cannot_be_grown_so() -> None:
    """Its blocks add what they read: two copies of a channel would have to be the same ones everywhere."""
    student, original = (subject_of("compressbench.zoo.resnet_cifar.ResNetCifar", 1, 3, depth=8) for _ in range(2))
    fine = net2net().apply(student, lent(original.model))
    assert isinstance(fine, Subject), "of equal width it is a copy"

    class Added(nn.Module):
        def __init__(self, width: int):
            super().__init__()
            self.first, self.second, self.out = nn.Linear(64, width), nn.Linear(width, width), nn.Linear(width, 3)

        def forward(self, inputs: Tensor) -> Tensor:
            found = self.first(inputs.flatten(1))
            logits: Tensor = self.out(found + self.second(found.relu()).relu())
            return logits

    with pytest.raises(ValueError, match="the network would not compute what its teacher does"):
        net2net().apply(bare(seeded(lambda: Added(9))), lent(seeded(lambda: Added(5))))


@pytest.mark.parametrize(
    ("widths", "deeper", "message"),
    [
        ((3, 6, 5), [], r"conv1 has weights of \[3, 1, 3, 3\], the teacher's \[4, 1, 3, 3\]"),
        ((4, 6, 5), ["conv9"], "deeper has 'conv9', which is no layer of the student; did you mean"),
        (
            (4, 6, 5),
            ["conv1"],
            "beside those in deeper the student has conv, bn, linear, linear; the teacher",
        ),
    ],
)
def test_networks_that_do_not_fit_are_refused(widths: tuple[int, int, int], deeper: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        grown(network(widths), teacher(), deeper, context())


def test_a_layer_that_changes_the_width_cannot_be_new() -> None:
    model = nn.Sequential(nn.Linear(64, 4), nn.ReLU(), nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    assert [
        name for name, layer in pairs(model, nn.Sequential(nn.Linear(64, 4), nn.Linear(4, 3)), ["2"]) if layer is None
    ] == ["2"]
    with pytest.raises(ValueError, match="deeper has '2', which cannot be an identity"):
        grown(model, nn.Sequential(nn.Linear(64, 4), nn.Linear(4, 3)), ["2"], context())


def test_a_negative_noise_is_refused() -> None:
    with pytest.raises(ValueError, match=r"noise is -0.1; allowed: 0 or more"):
        net2net(noise=-0.1)
