"""Gradual pruning follows the cubic of Zhu and Gupta 2017 and ends with exactly the weights it should."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch

from compressbench.core.constraint import Mask
from compressbench.core.errors import RunError
from compressbench.core.format import Sparse
from compressbench.core.objective import Hook
from compressbench.core.subject import Subject
from compressbench.core.training import TrainingConfig
from compressbench.techniques.pruning.gradual import GradualPruning, largest, sparsity
from tests.techniques.lending import StageContext, subject_of, trained_by
from tests.techniques.pruning.training_for_real import FIELDS, RealContext

NAMES = ["fc1.weight", "fc2.weight", "fc3.weight"]


def gradual(**fields: Any) -> GradualPruning:
    own: dict[str, Any] = {"targets": ["linear"], "ignore": [], "ratio": 0.9, "ratios": {}, "initial_ratio": 0.0}
    own |= {"begin": 0.0, "end": 0.5, "frequency": 5}
    return trained_by(GradualPruning, **{**FIELDS, **own, **fields})


def lenet() -> Subject:
    return subject_of("compressbench.zoo.lenet.LeNet300100", 1, image_size=8)


class Watched(RealContext):
    """Keeps the number of zeros that the forward pass saw in fc1, after every step's update."""

    zeros: list[int]

    def train(self, subject: Subject, training: TrainingConfig, objective: Any = None, hooks: Any = ()) -> Subject:
        (hook,) = hooks
        self.zeros = []

        def watch(model: torch.nn.Module) -> None:
            hook.after_backward(model)
            self.zeros.append(int((model.get_submodule("fc1").weight == 0).sum()))

        return super().train(subject, training, objective, [Hook(after_backward=watch)])


def test_sparsity_follows_the_cubic() -> None:
    """From 0 to 0.8: 0.8 (1 - (1 - x)^3); from 0.5 to 0.9: 0.9 - 0.4 (1 - x)^3."""
    points = [Fraction(0), Fraction(1, 4), Fraction(1, 2), Fraction(3, 4), Fraction(1)]
    from_zero = [float(sparsity(x, Fraction(0), Fraction("0.8"))) for x in points]
    assert from_zero == [0.0, pytest.approx(0.4625), pytest.approx(0.7), pytest.approx(0.7875), 0.8]
    from_half = [float(sparsity(x, Fraction("0.5"), Fraction("0.9"))) for x in points]
    assert from_half == [0.5, pytest.approx(0.73125), pytest.approx(0.85), pytest.approx(0.89375), 0.9]


def test_updates_stand_at_multiples_of_the_frequency_between_begin_and_end() -> None:
    assert gradual(end=0.5, frequency=25).updates(101) == {0: 0, 25: Fraction(1, 2), 50: 1}
    assert gradual(begin=0.2, end=0.55, frequency=10).updates(101) == {
        20: 0,
        30: Fraction(1, 3),
        40: Fraction(2, 3),
        50: 1,
    }
    assert gradual(frequency=100).updates(101) == {50: 1}, "shorter than one interval: all at once"
    assert gradual(begin=1.0, end=1.0).updates(1) == {0: 1}


def test_zeros_rise_along_the_schedule_and_end_at_exactly_the_ratio() -> None:
    """40 steps: updates at 0, 5, 10, 15 (of the last step, 39, one half is 20: four intervals to 20)."""
    context = Watched()
    subject = gradual().apply(lenet(), context)
    expected = [round(19_200 * 0.9 * (1 - (1 - x / 4) ** 3)) for x in range(5)]
    assert context.zeros[0:21:5] == expected
    assert context.zeros[4] == expected[0]
    assert set(context.zeros[20:]) == {17_280}
    zeros = {name: int((subject.model.get_parameter(name) == 0).sum()) for name in NAMES}
    assert zeros == {"fc1.weight": 17_280, "fc2.weight": 27_000, "fc3.weight": 900}


def test_masks_are_promised_and_tensors_stored_sparse() -> None:
    context = RealContext()
    subject = gradual(ratios={"fc3": 0.5}).apply(lenet(), context)
    assert {kept.parameter for kept in subject.constraints if isinstance(kept, Mask)} == set(NAMES)
    assert subject.formats == dict.fromkeys(NAMES, Sparse())
    trained = context.train(subject, TrainingConfig(**FIELDS))  # type: ignore[arg-type]
    assert int((trained.model.get_parameter("fc3.weight") == 0).sum()) == 500


def test_the_largest_magnitudes_stay_and_at_least_one() -> None:
    weight, everywhere = torch.tensor([[1.0, -4.0], [3.0, -2.0]]), torch.ones(2, 2, dtype=torch.bool)
    assert largest(weight, everywhere, Fraction(1, 2)).tolist() == [[False, True], [True, False]]
    assert largest(weight, everywhere, Fraction(0)).tolist() == [[False, True], [False, False]]
    allowed = torch.tensor([[True, False], [True, True]])
    assert largest(weight, allowed, Fraction(1, 2)).tolist() == [[False, False], [True, True]]


def test_a_layer_of_few_weights_keeps_one_and_that_is_reported() -> None:
    subject = gradual(targets=["fc3"], ratio=0.9999).apply(lenet(), RealContext())
    assert int((subject.model.get_parameter("fc3.weight") != 0).sum()) == 1
    assert [skipped.what for skipped in subject.skipped] == ["fc3"]


def test_without_training_the_counts_are_right_all_the_same() -> None:
    """So that a dry run predicts them."""

    class Idle(StageContext):
        def train(
            self, subject: Subject, training: TrainingConfig, objective: Any = None, hooks: Sequence[Hook] = ()
        ) -> Subject:
            return subject

    subject = gradual().apply(lenet(), Idle(1, 8))
    assert int((subject.model.get_parameter("fc1.weight") == 0).sum()) == 17_280


def test_a_training_that_goes_on_from_a_checkpoint_ends_the_same_to_the_bit(tmp_path: Path) -> None:
    undisturbed = gradual().apply(lenet(), RealContext())
    with pytest.raises(RunError, match="used up"):
        gradual().apply(lenet(), RealContext(tmp_path / "checkpoint", late=True))
    resumed = gradual().apply(lenet(), RealContext(tmp_path / "checkpoint"))
    for name, tensor in undisturbed.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"ratio": 1.0}, "ratio is 1.0"),
        ({"initial_ratio": 0.95}, "initial_ratio is 0.95; allowed: 0 to the ratio at the end, 0.9"),
        ({"begin": -0.1}, "begin is -0.1"),
        ({"begin": 0.6}, "end is 0.5; allowed: a fraction from begin, 0.6, to 1"),
        ({"frequency": 0}, "frequency is 0; allowed: 1 or more"),
        ({"lr": 0.0}, "lr is 0.0"),
    ],
)
def test_fields_out_of_range_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gradual(**fields)
