"""Biases take back what quantized weights added to the mean of an output (Nagel et al. 2019)."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from compressbench.core.source import Source
from compressbench.core.subject import Subject
from compressbench.techniques.coding.fold_batch_norm import FoldBatchNorm
from compressbench.techniques.quantization._output_statistics import output_statistics
from compressbench.techniques.quantization.bias_correction import BiasCorrection, rectified_mean
from compressbench.techniques.quantization.round_to_nearest import RoundToNearestQuantization
from tests.techniques.lending import StageContext, bare, seeded


def correction(**fields: Any) -> BiasCorrection:
    own: dict[str, Any] = {"targets": ["conv", "linear"], "ignore": [], "original": Source("start")}
    return BiasCorrection(**{**own, "method": "empirical", "examples": 64, **fields})


def network() -> nn.Module:
    def made() -> nn.Module:
        first, second = nn.Conv2d(3, 8, 3, bias=False), nn.Conv2d(8, 6, 3)
        return nn.Sequential(first, nn.BatchNorm2d(8), nn.ReLU(), second, nn.Flatten(), nn.Linear(96, 5))

    model = seeded(made).eval()
    with torch.no_grad():
        model[1].bias.add_(torch.linspace(-1, 2, 8))
    return model


def quantized(bits: int = 2) -> tuple[Subject, StageContext]:
    context = StageContext(3, 8)
    context.stages["start"] = bare(network())
    rounding = RoundToNearestQuantization(["conv", "linear"], [], bits, 0, True, "minmax")
    return rounding.apply(bare(network()), context), context


def means(model: nn.Module, name: str, context: StageContext) -> Tensor:
    return output_statistics(model, model.get_submodule(name), context, 64)[0]


def test_afterwards_every_output_has_the_mean_it_had() -> None:
    subject, context = quantized()
    away = [float((means(subject.model, name, context) - means(network(), name, context)).abs().max()) for name in "35"]
    assert min(away) > 0.01
    subject = correction().apply(subject, context)
    for name in "135":  # the first convolution has no bias: the mean behind its batch norm
        assert torch.allclose(means(subject.model, name, context), means(network(), name, context), atol=1e-5)
    assert not subject.broken()


def test_of_normal_outputs_the_mean_behind_a_relu_is_known() -> None:
    """E max(0, x) of N(0, 1) is 1 / sqrt(2 pi) = 0.3989; far above zero it is the mean, far below nothing."""
    found = rectified_mean(torch.tensor([0.0, 10.0, -10.0]), torch.ones(3))
    assert found.tolist() == pytest.approx([0.398942, 10.0, 0.0], abs=1e-6)
    drawn = torch.randn(200_000, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert float(rectified_mean(torch.tensor(-1.0), torch.tensor(2.0))) == pytest.approx(
        float(drawn.relu().mean()), abs=0.01
    )


def test_without_data_it_is_computed_from_the_batch_norm_before() -> None:
    subject, context = quantized()
    before = subject.model.get_parameter("3.bias").detach().clone()
    subject = correction(method="analytic", targets=["3"]).apply(subject, context)
    error = (subject.model.get_parameter("3.weight") - network().get_parameter("3.weight")).detach().sum((2, 3))
    norm = network().get_submodule("1")
    inputs = rectified_mean(norm.get_parameter("bias").detach(), norm.get_parameter("weight").detach())
    assert torch.allclose(before - subject.model.get_parameter("3.bias"), error @ inputs)


def test_what_cannot_be_corrected_is_reported_or_refused_by_name() -> None:
    subject, context = quantized()
    subject = correction(method="analytic").apply(subject, context)
    assert [skipped.what for skipped in subject.skipped] == ["0", "5"]
    with pytest.raises(ValueError, match="5 cannot be corrected: what it reads does not come from a batch norm"):
        correction(method="analytic", targets=["5"]).apply(*quantized())
    alone = bare(seeded(lambda: nn.Sequential(nn.Conv2d(3, 2, 3, bias=False))))
    context.stages["start"] = alone.clone()
    with pytest.raises(ValueError, match="leaves no layer that can be corrected"):
        correction().apply(alone, context)
    context.stages["start"] = bare(nn.Sequential(nn.Conv2d(3, 4, 3)))
    with pytest.raises(ValueError, match="start has no 0 of the same shape"):
        correction().apply(alone, context)


def test_a_layer_that_is_never_called_is_reported() -> None:
    """Attention multiplies with the weights of its `out_proj` itself."""

    def made() -> nn.Module:
        return nn.Sequential(nn.Flatten(2), nn.TransformerEncoderLayer(64, 2, 8, 0.0, batch_first=True))

    subject, context = bare(seeded(made)), StageContext(3, 8)
    context.stages["start"] = subject.clone()
    subject = correction(targets=["linear"]).apply(subject, context)
    assert [(skipped.what, skipped.why) for skipped in subject.skipped] == [
        ("1.self_attn.out_proj", "the network never calls it, so that its outputs cannot be seen")
    ]


def test_a_folded_batch_norm_says_nothing_of_means() -> None:
    assert correction().fault_after([FoldBatchNorm()]) is None
    assert "was folded" in str(correction(method="analytic").fault_after([FoldBatchNorm()]))


@pytest.mark.parametrize(("key", "value"), [("method", "empiric"), ("examples", 0)])
def test_fields_out_of_range_are_refused(key: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{key} is"):
        correction(**{key: value})
