"""INQ: the rule by hand, the order of the portions, and what stays frozen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from compressbench.core.constraint import Frozen, Mask
from compressbench.core.format import PowerOfTwo
from compressbench.core.objective import Hook
from compressbench.core.subject import Subject
from compressbench.core.training import TrainingConfig
from compressbench.techniques.pruning.magnitude import MagnitudePruning
from compressbench.techniques.quantization._powers import power_near, to_powers
from compressbench.techniques.quantization.inq import IncrementalQuantization, highest_of
from tests.techniques.lending import bare, seeded, trained_by
from tests.techniques.quantization.learned import (
    FIELDS,
    DigitsContext,
    accuracy,
    assert_plain,
    assert_stored_exactly,
    learned,
)


def inq(**others: Any) -> IncrementalQuantization:
    fields = {
        **FIELDS,
        "epochs": 2,
        "targets": ["linear"],
        "ignore": [],
        "bits": 5,
        "portions": [0.5, 0.75, 0.875, 1.0],
    }
    return trained_by(IncrementalQuantization, **{**fields, **others})


class Watching(DigitsContext):
    """Keeps the weights of one layer before and after every training."""

    def __init__(self) -> None:
        super().__init__()
        self.before: list[Tensor] = []
        self.after: list[Tensor] = []

    def train(
        self, subject: Subject, training: TrainingConfig, objective: Any = None, hooks: Sequence[Hook] = ()
    ) -> Subject:
        self.before.append(subject.model.get_parameter("1.weight").detach().clone())
        subject = super().train(subject, training, objective, hooks)
        self.after.append(subject.model.get_parameter("1.weight").detach().clone())
        return subject


def test_the_largest_power_is_that_of_the_paper() -> None:
    """n1 = floor(log2(4 s / 3)): s = 0.75 gives 1 -> 0, a little less gives -1; s = 1.5 gives 2 -> 1."""
    below = torch.nextafter(torch.tensor(0.75), torch.tensor(0.0)).item()
    largest = power_near(torch.tensor([0.75, below, 1.0, 1.49, 1.5, 0.1, 2.0**-30]))
    assert largest.tolist() == [0, -1, 0, 0, 1, -3, -30]


def test_weights_are_rounded_by_the_thresholds_of_the_paper() -> None:
    """Powers 1, 1/2, 1/4, 1/8 (4 bits, n1 = 0, n2 = 0 + 1 - 4 = -3).

    Between powers a < b the threshold is (a + b) / 2: 0.75, 0.375, 0.1875, on it upwards; below b / 2 = 0.0625 it is
    zero; on and above 3/2 of the largest, where retraining alone can bring a weight, it stays the largest.
    """
    weight = torch.tensor([1.49, 1.5, 9.0, 0.75, 0.7499, 0.375, 0.3749, 0.1875, 0.1874, 0.0625, 0.0624, 0.0])
    wanted = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125, 0.0, 0.0])
    assert torch.equal(to_powers(weight, 4, 0), wanted)
    assert torch.equal(to_powers(-weight, 4, 0), -wanted)


@pytest.mark.parametrize(("bits", "levels"), [(2, 3), (3, 5), (4, 9), (5, 17), (8, 129)])
def test_bits_say_how_many_levels_there_are(bits: int, levels: int) -> None:
    """Zhou et al. 2017, section 2.1. 5 bits: n2 = n1 - 7, 17 levels; 3 bits: n2 = n1 - 1, 5 levels; 2 bits: ternary."""
    magnitudes = 2.0 ** -torch.linspace(0, 80, 4_001)
    found = to_powers(torch.cat([magnitudes, -magnitudes, torch.zeros(1)]), bits, 0).unique()
    assert len(found) == levels
    assert found[found > 0].min() == 2.0 ** (1 - 2 ** (bits - 2))


def test_the_largest_weights_come_first() -> None:
    weight = torch.tensor([[0.1, -0.9], [0.5, -0.5]])
    done = torch.tensor([[True, False], [False, False]])
    assert highest_of(weight.abs(), done, 2).tolist() == [[False, True], [False, False]]
    assert highest_of(weight.abs(), done, 3).tolist() == [[False, True], [True, False]]
    assert not highest_of(weight.abs(), done, 1).any()


@pytest.mark.parametrize("count", [0, 1, 700, 999, 1_000])
def test_they_are_those_that_sorting_finds_whatever_is_equal(count: int) -> None:
    weight = torch.randint(-20, 20, (1_000,), generator=torch.Generator().manual_seed(0)).float()
    order = weight.abs().argsort(descending=True, stable=True)
    chosen = highest_of(weight.abs(), torch.zeros(1_000, dtype=torch.bool), count)
    assert set(chosen.nonzero().flatten().tolist()) == set(order[:count].tolist())


def test_every_step_freezes_the_largest_weights_and_momentum_and_weight_decay_leave_them_alone() -> None:
    """4,096 weights: 2,048, then 3,072, then 3,584 frozen; three trainings for four portions."""
    context, subject = Watching(), learned()
    start = subject.model.get_parameter("1.weight").detach().clone()
    largest = int(power_near(start.abs().max()))
    technique = inq(momentum=0.9, weight_decay=0.01)
    subject = technique.apply(subject, context)
    assert context.trained == [technique.training] * 3
    weights = start
    frozen = torch.zeros_like(start, dtype=torch.bool)
    for count, before, after in zip([2_048, 3_072, 3_584], context.before, context.after, strict=True):
        chosen = frozen | highest_of(weights.abs(), frozen, count)
        assert int(chosen.sum()) == count
        assert weights[chosen & ~frozen].abs().min() >= weights[~chosen].abs().max()
        assert torch.equal(before[chosen], to_powers(weights, 5, largest)[chosen])
        assert torch.equal(after[chosen], before[chosen])
        assert (after[~chosen] != before[~chosen]).all()
        weights, frozen = after, chosen
    last = subject.model.get_parameter("1.weight").detach()
    assert torch.equal(last, to_powers(weights, 5, largest)), "the last portion is quantized and not trained"


def test_all_that_is_stored_is_zero_or_a_power_of_the_declared_set_and_stays_so() -> None:
    subject = inq().apply(learned(), DigitsContext())
    assert subject.formats.keys() == {"1.weight", "4.weight", "7.weight"}
    for name, form in subject.formats.items():
        assert isinstance(form, PowerOfTwo)
        allowed = {0.0, *(sign * 2.0 ** (form.largest - step) for step in range(8) for sign in (1, -1))}
        assert set(subject.model.get_parameter(name).unique().tolist()) <= allowed
    assert all(isinstance(kept, Frozen) and kept.where.all() for kept in subject.constraints)
    assert len(subject.constraints) == 3
    assert_stored_exactly(subject)
    assert_plain(subject)


@pytest.mark.parametrize(("bits", "lost"), [(5, 0.02), (4, 0.02), (3, 0.03)])
def test_digits_are_read_almost_as_well_as_before(bits: int, lost: float) -> None:
    """The paper's ResNet-18 loses nothing at 5 and 4 bits, 0.2 points at 3 (Zhou et al. 2017, Table 3)."""
    subject = learned()
    before = accuracy(subject)
    assert before > 0.95
    assert accuracy(inq(bits=bits).apply(subject, DigitsContext())) >= before - lost


def test_ternary_weights_take_ten_portions() -> None:
    """Two bits, portions of the paper's ternary networks; over six starts it loses 1.1 to 4.4 points."""
    portions = [0.2, 0.4, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.975, 1.0]
    subject, context, before = learned(), DigitsContext(), accuracy(learned())
    subject = inq(bits=2, lr=0.1, portions=portions).apply(subject, context)
    assert len(context.trained) == 9
    assert accuracy(subject) >= before - 0.06
    for name, form in subject.formats.items():
        assert isinstance(form, PowerOfTwo)
        allowed = {0.0, 2.0**form.largest, -(2.0**form.largest)}
        assert set(subject.model.get_parameter(name).unique().tolist()) <= allowed


def test_a_pruned_network_keeps_its_zeros_and_they_are_in_no_portion() -> None:
    subject = MagnitudePruning(["linear"], 0.75, {}, [], "per_layer", 1, None).apply(learned(), DigitsContext())
    zeros = {mask.parameter: ~mask.keep for mask in subject.constraints if isinstance(mask, Mask)}
    context = Watching()
    subject = inq(portions=[0.5, 1.0]).apply(subject, context)
    moved = (context.before[0] != context.after[0]).sum()
    assert int(moved) == 512, "of 1,024 weights that are left, a half"
    for name, gone in zeros.items():
        assert not subject.model.get_parameter(name)[gone].any()
    assert sum(isinstance(kept, Mask) for kept in subject.constraints) == 3
    assert_stored_exactly(subject)


def test_a_layer_of_zeros_is_left_out_and_reported() -> None:
    subject = bare(seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.Linear(4, 10))))
    nn.init.zeros_(subject.model.get_parameter("1.weight"))
    subject = inq(portions=[1.0]).apply(subject, DigitsContext())
    assert [skipped.what for skipped in subject.skipped] == ["1"]
    assert subject.formats.keys() == {"2.weight"}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"bits": 1}, "bits is 1; allowed: 2 to 8"),
        ({"bits": 9}, "bits is 9; allowed: 2 to 8"),
        ({"portions": []}, "portions is "),
        ({"portions": [0.5, 0.9]}, "portions is "),
        ({"portions": [0.5, 0.5, 1.0]}, "portions is "),
        ({"portions": [0.0, 1.0]}, "portions is "),
        ({"portions": [0.5, 1.5, 1.0]}, "portions is "),
        ({"lr": 0.0}, "lr is 0.0"),
    ],
)
def test_fields_out_of_range_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        inq(**fields)
