"""Variational dropout: weights that bear any noise go (Molchanov et al. 2017)."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from compressbench.core.training import TrainingConfig
from compressbench.techniques.pruning.variational_dropout import Noise, VariationalDropout, divergence, noisy
from tests.techniques.lending import bare, seeded
from tests.techniques.quantization.learned import DigitsContext, accuracy, learned

ADAM = TrainingConfig(
    epochs=8, batch_size=64, lr=0.01, optimizer="adam", schedule="cosine", weight_decay=0.0, precision="fp32"
)


def dropout(**fields: Any) -> VariationalDropout:
    own: dict[str, Any] = {"targets": ["linear"], "ignore": [], "threshold": 3.0, "warm_up": 0.5, "divergence": 1.0}
    return VariationalDropout(**{"training": ADAM, **own, "initial_deviation": 0.02, **fields})


def test_the_divergence_falls_with_the_noise_and_is_that_of_the_paper() -> None:
    """Equation 14 at log alpha 0: k1 - k1 sigmoid(k2) + log(2) / 2; none is left where all is noise, and far below, it
    grows by half for each unit."""
    found = divergence(torch.tensor([-20.0, -19.0, 0.0, 30.0]))
    sigmoid = 1 / (1 + float(torch.exp(torch.tensor(-1.87320))))
    assert float(found[2]) == pytest.approx(0.63576 * (1 - sigmoid) + 0.34657, abs=1e-5)
    assert float(found[0] - found[1]) == pytest.approx(0.5, abs=1e-4)
    assert float(found[3]) == pytest.approx(0, abs=1e-6)


def test_the_approximation_is_that_of_the_integral() -> None:
    """KL is a constant minus E[log |z|]... of z ~ N(1, alpha), which a sum over noise gives: differences agree."""
    noise = torch.randn(400_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def exact(log_alpha: float) -> float:
        alpha = torch.tensor(log_alpha, dtype=torch.float64).exp()
        return float((1 + alpha.sqrt() * noise).abs().log().mean() - alpha.log() / 2)

    for low, high in ((-3.0, 0.0), (0.0, 2.0), (2.0, 4.0)):
        ours = divergence(torch.tensor([low, high]))
        assert float(ours[0] - ours[1]) == pytest.approx(exact(low) - exact(high), abs=0.02)


@pytest.mark.parametrize("layer", [nn.Linear(6, 4), nn.Conv2d(6, 4, 3, padding=1, stride=2, groups=2)], ids=str)
def test_noise_on_outputs_has_the_variance_of_noise_on_weights(layer: nn.Module) -> None:
    torch.manual_seed(0)
    shape = (1, 6) if isinstance(layer, nn.Linear) else (1, 6, 5, 5)
    inputs, noise = torch.randn(shape), Noise(layer.get_parameter("weight"), 0.6, 3.0)
    with torch.no_grad():
        noise.log_variance.add_(torch.randn_like(noise.log_variance))
        plain = layer(inputs)
        with noisy({"layer": layer}, {"layer": noise}):
            ours = torch.stack([layer.train()(inputs) for _ in range(3_000)])
            assert torch.equal(layer.eval()(inputs), plain), "none in evaluation mode"
        weight = layer.get_parameter("weight")
        before, drawn = weight.clone(), []
        for _ in range(3_000):
            weight.copy_(before + (noise.log_variance / 2).exp() * torch.randn_like(before))
            drawn.append(layer(inputs))
    assert torch.allclose(ours.mean(0), plain, atol=0.3)
    assert torch.allclose(ours.std(0), torch.stack(drawn).std(0), rtol=0.15)


def test_weights_that_are_noise_go_and_the_network_keeps_its_accuracy() -> None:
    before = accuracy(learned())
    subject = dropout(divergence=0.1).apply(learned(), DigitsContext())
    left = sum(int((subject.model.get_parameter(f"{layer}.weight") != 0).sum()) for layer in (1, 4, 7))
    assert left < 0.2 * 8_832
    assert accuracy(subject) > before - 0.03
    assert not subject.broken()
    assert [name for name, _ in subject.model.named_parameters() if "parametrizations" in name] == []


def test_the_divergence_is_what_makes_weights_go() -> None:
    subject = dropout(divergence=0.0).apply(learned(), DigitsContext())
    left = sum(int((subject.model.get_parameter(f"{layer}.weight") != 0).sum()) for layer in (1, 4, 7))
    assert left > 0.8 * 8_832


def test_a_layer_of_noise_alone_keeps_its_largest_weight() -> None:
    model = seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 10)))
    with torch.no_grad():
        model[1].weight.mul_(1e-6)
    training = TrainingConfig(**{**vars(ADAM), "epochs": 0})
    subject = dropout(training=training).apply(bare(model), DigitsContext())
    assert int((subject.model.get_parameter("1.weight") != 0).sum()) == 1
    assert [skipped.what for skipped in subject.skipped] == ["1"]


def test_what_attention_never_calls_has_no_noise_and_keeps_its_weights() -> None:
    model = seeded(lambda: nn.Sequential(nn.MultiheadAttention(4, 2), nn.Linear(4, 2)))
    subject = bare(model)
    assert list(dropout()._noisy_layers(subject)) == ["1"]
    assert [(skipped.what, "never calls it" in skipped.why) for skipped in subject.skipped] == [("0.out_proj", True)]
    with pytest.raises(ValueError, match=r"0\.out_proj cannot be noisy"):
        dropout(targets=["0.out_proj"])._noisy_layers(subject)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"training": TrainingConfig(**{**vars(ADAM), "weight_decay": 1e-4})}, r"weight_decay is 0\.0001; allowed: 0"),
        ({"warm_up": 1.5}, r"warm_up is 1\.5"),
        ({"threshold": -1.0}, r"threshold is -1\.0"),
        ({"divergence": float("inf")}, "divergence is inf"),
        ({"initial_deviation": 0.0}, r"initial_deviation is 0\.0"),
    ],
)
def test_fields_out_of_range_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dropout(**fields)
