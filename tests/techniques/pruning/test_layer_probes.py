"""Layers of small gain are removed, and what is left computes what the network without them does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from compressbench.core.context import Context
from compressbench.core.subject import Subject
from compressbench.data.tasks.regression import Regression
from compressbench.metrics.macs import mac_counts
from compressbench.metrics.parameters import parameter_counts
from compressbench.techniques.pruning._probes import Probed, fitted
from compressbench.techniques.pruning.layer_probes import LayerProbes, gains_of
from compressbench.testing.made_up import MadeUpContext
from tests.techniques.lending import StageContext, bare, seeded, subject_of
from tests.techniques.quantization.learned import DigitsContext

RESNET = "compressbench.zoo.resnet_cifar.ResNetCifar"
VGG = "compressbench.zoo.vgg_cifar.VGG16Cifar"
Say = Callable[[list[float]], None]


def probes(targets: list[str], counts: dict[str, int] | None = None, **changes: Any) -> LayerProbes:
    return LayerProbes(
        **{"targets": targets, "ignore": [], "threshold": 0.0, "examples": 16, **changes}, counts=counts or {}
    )


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch) -> Say:
    """Says what the probes reach, one after the other, in the place of measuring it."""

    def put(right: list[float]) -> None:
        def said(subject: Subject, context: Context, places: list[Probed], examples: int) -> dict[str, float]:
            return {place.layer: each for place, each in zip(places, right, strict=True)}

        monkeypatch.setattr("compressbench.techniques.pruning.layer_probes.accuracies", said)

    return put


def test_the_gain_is_the_accuracy_minus_that_of_the_probe_before() -> None:
    assert gains_of({"a": 0.4, "b": 0.55, "c": 0.5}, 0.1) == pytest.approx({"a": 0.3, "b": 0.15, "c": -0.05})


def test_blocks_below_the_threshold_become_identities_and_those_that_change_the_shape_stay(say: Say) -> None:
    """ResNet-14: two blocks a stage. Gains 0.2, 0.009, 0, 0.011, 0.1, -0.1; the first of stages 2 and 3 must stay."""
    context = StageContext()
    say([0.3, 0.309, 0.309, 0.32, 0.42, 0.32])
    subject = subject_of(RESNET, depth=14)
    images = torch.randn(4, 3, 32, 32, generator=context.generator)
    pruned = probes(["stage*.*"], threshold=0.01).apply(subject.clone(), context)
    stages = [pruned.model.get_submodule(f"stage{stage}") for stage in (1, 2, 3)]
    assert [[isinstance(block, nn.Identity) for block in stage] for stage in stages] == [
        [False, True],
        [False, False],
        [False, True],
    ]
    whole = subject.model.eval()
    with torch.no_grad():
        found = whole.relu1(whole.bn1(whole.conv1(images)))
        for name in ("stage1.0", "stage2.0", "stage2.1", "stage3.0"):
            found = whole.get_submodule(name)(found)
        expected = whole.fc(found.mean((2, 3)))
        assert torch.allclose(pruned.model.eval()(images), expected, atol=1e-6)
    assert [each.what for each in pruned.skipped] == ["stage2.0", "stage3.0", "stage1.1, stage3.1"]
    assert "stage1.1 0.309 (+0.009)" in pruned.skipped[-1].why


def test_resnet_56_without_9_blocks_is_the_one_of_the_paper(say: Say) -> None:
    """Two, three and four blocks of the stages: 42.3 % of the weights as the paper prints it, 9 of 27 blocks' MACs."""
    context, subject = StageContext(), subject_of(RESNET, depth=56)
    say([0.5] * 27)
    before = sum(p.numel() for p in subject.model.parameters() if p.dim() > 1)
    counts = {"stage1.*": 2, "stage2.*": 3, "stage3.*": 4}
    pruned = probes(["stage*.*"], counts, threshold=0.0).apply(subject, context).model
    after = sum(p.numel() for p in pruned.parameters() if p.dim() > 1)
    assert after == before - 2 * 4_608 - 3 * 18_432 - 4 * 73_728
    assert 1 - after / before == pytest.approx(0.423, abs=5e-4)
    assert parameter_counts(pruned)["params"] == pytest.approx(0.49e6, rel=0.01)
    macs = mac_counts(pruned, torch.zeros(1, 3, 32, 32))["macs"]
    assert 1 - macs / 125_485_696 == pytest.approx(0.348, abs=0.01)


def test_vgg_16_without_its_last_five_convolutions_is_the_one_of_the_paper(say: Say) -> None:
    """Chen and Zhao print 78.9 % fewer parameters and 32.9 % fewer operations on CIFAR100."""
    context, subject = StageContext(), subject_of(VGG, classes=100)
    params, macs = parameter_counts(subject.model)["params"], mac_counts(subject.model, context.example)["macs"]
    say([0.05 * number for number in range(1, 9)] + [0.4] * 5)
    pruned = probes(["conv"], threshold=0.01).apply(subject, context).model
    assert [name for name, each in pruned.named_children() if isinstance(each, nn.Identity)] == [
        f"{kind}{number}" for number in range(9, 14) for kind in ("conv", "bn")
    ]
    assert 1 - parameter_counts(pruned)["params"] / params == pytest.approx(0.789, abs=0.005)
    assert 1 - mac_counts(pruned, context.example)["macs"] / macs == pytest.approx(0.329, abs=0.003)


def test_a_probe_is_the_logistic_regression_of_labels_on_features() -> None:
    """At the optimum the gradient of the penalised loss is zero; a feature that is always the same does no harm."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(60, 3, generator=generator) * 4 + 1
    features[:, 2] = 7.0
    targets = (features[:, 0] > features[:, 1]).long()
    classifier = fitted(features, targets, 2)
    assert float((classifier(features).argmax(1) == targets).float().mean()) > 0.95
    residual = classifier(features).softmax(1) - nn.functional.one_hot(targets, 2)
    deviation = features.std(0, correction=0)[:2]
    scaled = (features[:, :2] - features[:, :2].mean(0)) / deviation
    gradient = (residual.T @ scaled + classifier.weight[:, :2] * deviation) / 60
    assert float(gradient.detach().abs().max()) < 1e-4


def test_on_digits_a_layer_that_does_nothing_gains_nothing() -> None:
    layers = [nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Flatten()]
    subject = bare(seeded(lambda: nn.Sequential(*layers, nn.Linear(512, 10))))
    subject.model[2].load_state_dict({"weight": torch.zeros(8, 8, 3, 3), "bias": torch.zeros(8)})
    with torch.no_grad():
        subject.model[2].weight[range(8), range(8), 1, 1] = 1
    seen: list[Tensor] = []

    class Validated(DigitsContext):
        def validate(self, probe: Subject) -> dict[str, float]:
            inputs, targets = next(iter(self.calibration(256, 1)))
            seen.append(probe.model(inputs))
            return {"top1": float((seen[-1].argmax(1) == targets).float().mean())}

    pruned = probes(["conv"], threshold=0.005, examples=256).apply(subject, Validated())
    assert torch.equal(seen[0].argmax(1), seen[1].argmax(1))
    assert isinstance(pruned.model[2], nn.Identity)
    assert isinstance(pruned.model[0], nn.Conv2d)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"targets": ["stage2.0"]}, "stage2.0 cannot be removed: it changes the shape"),
        ({"targets": ["stage9.*"]}, "targets has 'stage9.*', which matches no module; did you mean"),
        ({"targets": ["stage1.*"], "ignore": ["stage1.*"]}, "leaves no layer"),
        ({"targets": ["stage1.*"], "counts": {"stage1.*": 2}}, "counts.stage1.* is 2; allowed: 0 to 1"),
    ],
)
def test_what_cannot_be_removed_is_said(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("*", r"\*")):
        probes(**fields).apply(subject_of(RESNET, depth=8), StageContext())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"threshold": -0.1}, "threshold is -0.1; allowed: 0 or more"),
        ({"examples": 0}, "examples is 0; allowed: 1 or more"),
        ({"counts": {"a": -1}}, "counts.a is -1; allowed: 0 or more"),
    ],
)
def test_fields_out_of_range_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        probes(["conv"], **fields)


def test_numbers_have_no_probes() -> None:
    subject = bare(seeded(lambda: nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 1))))
    with pytest.raises(ValueError, match="linear probes are for classifications; regression is none"):
        probes(["0"]).apply(subject, MadeUpContext(Regression([3], 1)))
