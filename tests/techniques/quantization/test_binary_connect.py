"""BinaryConnect: values, probabilities, the straight-through gradient and the clip."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Any

import pytest
import torch
from torch import nn

from compressbench.core.constraint import Frozen
from compressbench.core.format import Binary
from compressbench.core.objective import Hook
from compressbench.core.subject import Subject
from compressbench.core.training import TrainingConfig
from compressbench.techniques.quantization._binary import Connect
from compressbench.techniques.quantization.binary_connect import BinaryConnect, glorot
from tests.techniques.lending import trained_by
from tests.techniques.quantization.learned import (
    FIELDS,
    DigitsContext,
    accuracy,
    assert_plain,
    assert_stored_exactly,
    learned,
)

HIDDEN = {"targets": ["linear"], "ignore": []}


def connect(**others: Any) -> BinaryConnect:
    return trained_by(BinaryConnect, **{**FIELDS, **HIDDEN, "stochastic": False, "scale": "one", **others})


def test_the_sign_is_taken_and_that_of_zero_is_plus() -> None:
    latent = torch.tensor([0.3, -0.2, 0.0, -5.0])
    assert Connect(1.0, stochastic=False)(latent).tolist() == [1, -1, 1, -1]
    assert Connect(0.5, stochastic=False)(latent).tolist() == [0.5, -0.5, 0.5, -0.5]


def test_the_gradient_goes_straight_through() -> None:
    latent = torch.tensor([0.3, -0.2, 0.9], requires_grad=True)
    (Connect(1.0, stochastic=False)(latent) * torch.tensor([2.0, 3.0, -4.0])).sum().backward()
    assert latent.grad is not None
    assert latent.grad.tolist() == [2, 3, -4]


@pytest.mark.parametrize("scale", [1.0, 0.1])
def test_stochastic_signs_are_positive_as_often_as_the_hard_sigmoid_says(scale: float) -> None:
    """w/H = 0.5: (0.5 + 1) / 2 = 3/4; -1: 0; 2: 1. 40,000 draws: 3/4 +- 0.011 with five standard deviations."""
    function = Connect(scale, stochastic=True)
    latent = scale * torch.tensor([0.5, -1.0, 2.0]).expand(40_000, 3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        drawn = function(latent)
        share = (drawn > 0).float().mean(0)
    assert share[0].item() == pytest.approx(0.75, abs=0.011)
    assert share[1:].tolist() == [0, 1]
    assert drawn.abs().unique().tolist() == pytest.approx([scale])
    assert torch.equal(function.eval()(latent), function(latent)), "afterwards it is the sign alone"


def test_glorots_scale_counts_every_position_of_a_kernel() -> None:
    assert glorot(nn.Linear(200, 100)) == pytest.approx(sqrt(1.5 / 300))
    assert glorot(nn.Conv2d(3, 7, 5)) == pytest.approx(sqrt(1.5 / (25 * 10)))


class Watching(DigitsContext):
    """Looks at the latent weights at the end of the training."""

    largest: float = 0.0

    def train(
        self, subject: Subject, training: TrainingConfig, objective: Any = None, hooks: Sequence[Hook] = ()
    ) -> Subject:
        subject = super().train(subject, training, objective, hooks)
        self.largest = float(subject.model.get_parameter("1.parametrizations.weight.original").detach().abs().max())
        return subject


@pytest.mark.parametrize(("stochastic", "scale"), [(False, "one"), (False, "glorot"), (True, "glorot")])
def test_digits_are_read_with_two_weights_alone(stochastic: bool, scale: str) -> None:
    """Stochastic +-1 is left out: its latent weights need hundreds of epochs to leave the middle (500 in the paper)."""
    subject, context = learned(), Watching()
    before = accuracy(subject)
    lr = 0.1 if scale == "one" else 0.02
    subject = connect(stochastic=stochastic, scale=scale, lr=lr, epochs=12).apply(subject, context)
    wanted = 1.0 if scale == "one" else sqrt(1.5 / 128)
    assert context.largest <= wanted * (1 + 1e-6)
    assert subject.model.get_parameter("1.weight").abs().unique().tolist() == pytest.approx([wanted])
    assert accuracy(subject) >= before - 0.04
    assert subject.formats == dict.fromkeys(["1.weight", "4.weight", "7.weight"], Binary())
    assert [type(kept) for kept in subject.constraints] == [Frozen] * 3
    assert_stored_exactly(subject)
    assert_plain(subject)


def test_after_noise_the_statistics_are_measured_again_and_else_left_alone() -> None:
    """The mean of the first layer's outputs over all training images but the incomplete batch, without its noise."""

    def difference(stochastic: bool) -> float:
        context = DigitsContext()
        subject = connect(stochastic=stochastic, scale="glorot", lr=0.02, epochs=1).apply(learned(), context)
        first, norm = subject.model[1], subject.model[2]  # type: ignore[index]
        with torch.no_grad():
            means = [first(images.flatten(1)).mean(0) for images, _ in context.calibration(64, 50)]
        return float((torch.stack(means).mean(0) - norm.running_mean).abs().max())

    assert difference(stochastic=True) < 1e-5
    assert difference(stochastic=False) > 1e-3


def test_it_needs_no_trained_network_and_makes_one() -> None:
    assert not BinaryConnect.needs
    assert BinaryConnect.adds == {"trained", "quantized"}


def test_an_unknown_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="scale is 'glorrot'; did you mean 'glorot'"):
        connect(scale="glorrot")
