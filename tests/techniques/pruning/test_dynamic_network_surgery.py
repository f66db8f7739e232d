"""Dynamic network surgery follows Guo et al. 2016: thresholds, probabilities, and weights that come back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from compressbench.core.constraint import Mask
from compressbench.core.errors import RunError
from compressbench.core.format import Sparse
from compressbench.core.objective import Hook
from compressbench.core.subject import Subject
from compressbench.core.training import TrainingConfig
from compressbench.techniques.pruning.dynamic_network_surgery import DynamicNetworkSurgery, threshold, updated
from tests.techniques.lending import StageContext, bare, subject_of, trained_by
from tests.techniques.pruning.training_for_real import FIELDS, RealContext

LATENT = "parametrizations.weight.original"


def surgery(**fields: Any) -> DynamicNetworkSurgery:
    own: dict[str, Any] = {"targets": ["conv", "linear"], "ignore": [], "c_rate": 1.0, "c_rates": {}}
    own |= {"update_gamma": 0.0, "update_power": 1.0, "update_until": 1.0, "in_turn": False}
    return trained_by(DynamicNetworkSurgery, **{**FIELDS, **own, **fields})


def lenet() -> Subject:
    return subject_of("compressbench.zoo.lenet.LeNet300100", 1, image_size=8)


class Scripted(StageContext):
    """Sets the only layer's latent weights step after step, instead of training."""

    def __init__(self, *steps: list[float]):
        super().__init__()
        self.script, self.masks = steps, list[list[float]]()

    def train(
        self, subject: Subject, training: TrainingConfig, objective: Any = None, hooks: Sequence[Hook] = ()
    ) -> Subject:
        (hook,) = hooks
        layer = subject.model.get_submodule("0")
        for weights in self.script:
            with torch.no_grad():
                layer.get_parameter(LATENT).copy_(torch.tensor([weights]))
            hook.after_backward(subject.model)
            self.masks.append(layer.get_buffer("parametrizations.weight.0.mask").tolist()[0])
        return subject

    def steps(self, training: TrainingConfig) -> int:
        return len(self.script)


def single(weights: list[float]) -> Subject:
    layer = nn.Linear(len(weights), 1, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([weights]))
    return bare(nn.Sequential(layer))


def test_the_threshold_is_from_the_magnitudes_of_weights_and_biases_that_are_not_zero() -> None:
    """Magnitudes 1, 3 and 2: mean 2, variance 2/3."""
    weight, bias = nn.Parameter(torch.tensor([[1.0, -3.0], [0.0, 0.0]])), nn.Parameter(torch.tensor([-2.0, 0.0]))
    assert threshold([weight, bias], 0.0) == pytest.approx(2.0)
    assert threshold([weight, bias], 1.5) == pytest.approx(2 + 1.5 * (2 / 3) ** 0.5)
    assert threshold([nn.Parameter(torch.zeros(3))], 1.0) == 0.0


def test_a_weight_goes_at_nine_tenths_of_the_threshold_and_comes_back_above_eleven_tenths() -> None:
    weight = torch.tensor([1.79, -1.81, 2.0, -9.0, 1.81, 2.19, -2.21, 9.0])
    mask = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    assert updated(mask, weight, 2.0).tolist() == [0, 1, 1, 1, 0, 0, 1, 1]


def test_the_chance_of_an_update_falls_as_in_the_authors_example() -> None:
    """gamma 1e-4, power 1: one half at iteration 10,000."""
    slow = surgery(update_gamma=1e-4)
    assert slow.probability(0) == 1.0
    assert slow.probability(10_000) == pytest.approx(0.5)
    assert surgery(update_gamma=1e-4, update_power=2.0).probability(10_000) == pytest.approx(0.25)


class OneInFour(DynamicNetworkSurgery):
    def probability(self, iteration: int) -> float:
        return 0.25


def test_masks_are_updated_as_often_as_the_chance_says() -> None:
    """Two weights change places at every step; the mask does where an odd number of steps, 4/7 of all, lie between
    two updates: 400 x 1/4 x 4/7 = 57 times."""
    context = Scripted(*([[1.0, 3.0], [3.0, 1.0]] * 200))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        OneInFour(**vars(surgery(c_rate=0.0))).apply(single([1.0, 3.0]), context)
    changes = sum(first != second for first, second in zip(context.masks, context.masks[1:], strict=False))
    assert changes == pytest.approx(57, abs=20)


def test_a_weight_that_grows_back_is_spliced_in_again() -> None:
    """The threshold stays 2, the mean before the first iteration, whatever the weights are later."""
    context = Scripted([1.0, 3.0], [2.1, 3.0], [2.3, 1.9], [2.3, 1.7])
    subject = surgery(c_rate=0.0).apply(single([1.0, 3.0]), context)
    assert context.masks == [[0, 1], [0, 1], [1, 1], [1, 0]]
    assert subject.model.get_parameter("0.weight").tolist()[0] == [pytest.approx(2.3), 0]


def test_after_update_until_masks_stay_as_they_are() -> None:
    context = Scripted([1.0, 3.0], [1.0, 3.0], [3.0, 1.0], [3.0, 1.0])
    surgery(c_rate=0.0, update_until=0.5).apply(single([1.0, 3.0]), context)
    assert context.masks == [[0, 1]] * 4


def test_weights_and_biases_are_masked_promised_and_stored_sparse() -> None:
    context = RealContext()
    subject = surgery(ignore=["fc3"], c_rate=1.0, c_rates={"fc2": 2.0}).apply(lenet(), context)
    names = {"fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"}
    assert {kept.parameter for kept in subject.constraints if isinstance(kept, Mask)} == names
    assert subject.formats == dict.fromkeys(names, Sparse())
    assert [name for name, _ in subject.model.named_parameters()] == [
        name for name, _ in lenet().model.named_parameters()
    ]
    density = {n: float((p != 0).float().mean()) for n, p in subject.model.named_parameters()}
    assert density["fc2.weight"] < density["fc1.weight"] < 0.5
    assert density["fc3.weight"] == 1
    trained = context.train(subject, TrainingConfig(**FIELDS))  # type: ignore[arg-type]
    assert all(constraint.holds(trained.model) for constraint in trained.constraints)


def test_what_was_masked_before_stays_so() -> None:
    subject = lenet()
    keep = torch.zeros(300, 64, dtype=torch.bool)
    keep[:, :32] = True
    subject.constraints = [Mask("fc1.weight", keep)]
    subject.enforce()
    subject = surgery(targets=["fc1"], c_rate=0.5).apply(subject, RealContext())
    [mask] = [kept for kept in subject.constraints if isinstance(kept, Mask) and kept.parameter == "fc1.weight"]
    assert not mask.keep[:, 32:].any()
    assert mask.keep[:, :32].any()


def test_convolutions_and_linear_layers_may_be_operated_on_in_turn() -> None:
    context = StageContext(channels=1, side=16)
    subject = subject_of("compressbench.zoo.lenet.LeNet5", 1, image_size=16)
    seen = []
    real = context.train

    def train(subject: Subject, training: TrainingConfig, objective: Any = None, hooks: Sequence[Hook] = ()) -> Subject:
        seen.append({name.split(".")[0] for name, _ in subject.model.named_buffers()})
        return real(subject, training, objective, hooks)

    context.train = train  # type: ignore[method-assign]
    subject = surgery(in_turn=True).apply(subject, context)
    assert seen == [{"conv1", "conv2"}, {"fc1", "fc2"}]
    assert len(subject.constraints) == 8


def test_a_training_that_goes_on_from_a_checkpoint_ends_the_same_to_the_bit(tmp_path: Path) -> None:
    technique = surgery(update_gamma=0.1, update_until=0.75)
    undisturbed = technique.apply(lenet(), RealContext())
    with pytest.raises(RunError, match="used up"):
        technique.apply(lenet(), RealContext(tmp_path / "checkpoint", late=True))
    resumed = technique.apply(lenet(), RealContext(tmp_path / "checkpoint"))
    for name, tensor in undisturbed.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name
    for ours, theirs in zip(undisturbed.constraints, resumed.constraints, strict=True):
        assert isinstance(ours, Mask)
        assert isinstance(theirs, Mask)
        assert torch.equal(ours.keep, theirs.keep)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"c_rate": -0.5}, r"c_rate is -0\.5; allowed: 0 or more"),
        ({"c_rates": {"fc1": float("nan")}}, r"c_rates\.fc1 is nan"),
        ({"update_gamma": -1.0}, "update_gamma is"),
        ({"update_power": -1.0}, "update_power is"),
        ({"update_until": 1.5}, r"update_until is 1\.5; allowed: a fraction from 0 to 1"),
        ({"epochs": -1}, "epochs is -1"),
    ],
)
def test_fields_out_of_range_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        surgery(**fields)


def test_a_selector_of_c_rates_that_matches_nothing_is_named() -> None:
    with pytest.raises(ValueError, match="c_rates has 'fc9'"):
        surgery(c_rates={"fc9": 1.0}).apply(lenet(), StageContext(1, 8))
