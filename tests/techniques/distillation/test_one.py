"""On-the-fly native ensemble: branches that go on where the network forks, and the loss by hand."""

from __future__ import annotations

from math import exp, log
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from compressbench.core.objective import Seen
from compressbench.techniques.distillation._branches import Branch
from compressbench.techniques.distillation.one import Ensemble, OnTheFlyNativeEnsemble, rise
from tests.techniques.lending import StageContext, bare, seeded, subject_of, trained_by
from tests.techniques.quantization.learned import FIELDS, DigitsContext, accuracy

RESNET = "compressbench.zoo.resnet_cifar.ResNetCifar"


def one(**changes: Any) -> OnTheFlyNativeEnsemble:
    given = {"shared": "stage2", "branches": 3, "temperature": 2.0, "weight": 0.5, "ramp_up": 0.0}
    return trained_by(OnTheFlyNativeEnsemble, **{**FIELDS, **given, **changes})


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_a_branch_goes_on_from_the_shared_features_with_weights_of_its_own() -> None:
    model = subject_of(RESNET, depth=8).model.eval()
    images = torch.randn(2, 3, 32, 32, generator=generator())
    with torch.no_grad():
        features = model.stage2(model.stage1(model.relu1(model.bn1(model.conv1(images)))))
    branch = Branch(model, "stage2", images, generator()).eval()
    names = {name for name, _ in branch.named_parameters()}
    assert {name.split(".")[1] for name in names} == {"stage3", "fc"}
    assert not torch.allclose(branch(features), model(images), atol=1e-3)
    branch.model.load_state_dict(model.state_dict(), strict=False)
    assert torch.equal(branch(features), model(images))


def test_branches_differ_and_the_global_random_state_is_left_alone() -> None:
    model, images = subject_of(RESNET, depth=8).model, torch.zeros(2, 3, 32, 32)
    drawn, state = generator(), torch.get_rng_state()
    first, second = (Branch(model, "stage2", images, drawn) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(first.model.fc.weight, second.model.fc.weight)


class Fixed(nn.Module):
    """Logits of two branches, and their sum with halves for weights."""

    def forward(self, features: Tensor, first: Tensor) -> tuple[list[Tensor], Tensor]:
        other = torch.tensor([[0.0, 4 * log(3)]])
        return [first, other], (first + other) / 2


def test_the_loss_is_the_papers() -> None:
    """Logits (0, 0) and (0, 4 ln 3): together (0, 2 ln 3). At T = 2 the probabilities are 1/2, 1/2; 1/10, 9/10; and of
    all 1/4, 3/4. A loss of 1, 2, 3, ... a call: 6 of all three."""
    calls: list[Tensor] = []

    def score(logits: Tensor) -> Tensor:
        calls.append(logits)
        return torch.tensor(float(len(calls)))

    seen = Seen(torch.zeros(1), torch.zeros(1), torch.zeros(1, 2), score, {"stage2": torch.zeros(1)})
    apart = 0.25 * log(0.5) + 0.75 * log(1.5) + 0.25 * log(2.5) + 0.75 * log(0.75 / 0.9)
    assert float(one().loss(Fixed(), seen)) == pytest.approx(6 + 0.5 * 4 * apart)
    assert calls[0].tolist()[0] == pytest.approx([0.0, 2 * log(3)])


def test_the_gate_weighs_the_branches_and_learns_with_them() -> None:
    branches = [nn.Linear(4, 2) for _ in range(2)]
    ensemble = Ensemble(branches, 4, generator())  # type: ignore[arg-type]
    features, first = torch.randn(6, 4, generator=generator()), torch.ones(6, 2)
    logits, together = ensemble(features, first)
    stacked = torch.stack(logits)
    assert len(logits) == 3
    assert bool((together <= stacked.amax(0) + 1e-6).all())
    assert bool((together >= stacked.amin(0) - 1e-6).all())
    together.square().sum().backward()
    assert ensemble.gate[0].weight.grad is not None


def test_the_weight_rises_over_the_first_part_of_the_training() -> None:
    assert rise(0.0, 0.5) == pytest.approx(exp(-5))
    assert rise(0.25, 0.5) == pytest.approx(exp(-1.25))
    assert rise(0.5, 0.5) == rise(0.9, 0.5) == rise(0.0, 0.0) == 1


def test_a_network_learns_the_digits_and_keeps_nothing_of_its_branches() -> None:
    student = bare(seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))))
    names = list(student.model.state_dict())
    trained = one(shared="2", epochs=4, ramp_up=0.3).apply(student, DigitsContext())
    assert accuracy(trained) > 0.85
    assert list(trained.model.state_dict()) == names


class Skipping(nn.Module):
    """What comes after `first` reads more than its results."""

    def __init__(self) -> None:
        super().__init__()
        self.early, self.first, self.last = nn.Linear(192, 8), nn.Linear(8, 8), nn.Linear(8, 2)

    def forward(self, images: Tensor) -> Tensor:
        early = self.early(images.flatten(1))
        found: Tensor = self.last(self.first(early) + early)
        return found


@pytest.mark.parametrize(
    ("shared", "message"),
    [
        ("first", "shared is 'first', but what comes after it reads more than its results"),
        ("frist", "shared is 'frist', which Skipping lacks; did you mean 'first'"),
    ],
)
def test_where_no_branch_can_begin_is_said(shared: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        one(shared=shared).objective(bare(seeded(Skipping)), StageContext(side=8, classes=2))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"branches": 1}, "branches is 1; allowed: 2 or more"),
        ({"ramp_up": 1.5}, r"ramp_up is 1.5; allowed: 0 to 1"),
        ({"weight": -1.0}, r"weight is -1.0; allowed: 0 or more"),
    ],
)
def test_fields_out_of_range_are_refused(fields: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        one(**fields)
