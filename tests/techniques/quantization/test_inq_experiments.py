"""INQ done otherwise, to find out why others' results differ: by hand on a layer of eight weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from compressbench.core.constraint import Frozen
from compressbench.core.format import PowerOfTwo
from compressbench.core.objective import Hook
from compressbench.core.subject import Subject
from compressbench.core.training import TrainingConfig
from compressbench.packing.packed_file import read, write
from compressbench.techniques.coding.entropy import CodeWithEntropy
from compressbench.techniques.quantization._powers import largest_power, to_powers
from compressbench.techniques.quantization.inq import IncrementalQuantization
from tests.techniques.lending import StageContext, bare, seeded, trained_by
from tests.techniques.quantization.learned import (
    FIELDS,
    DigitsContext,
    accuracy,
    assert_plain,
    assert_stored_exactly,
    learned,
)
from tests.techniques.test_contract import untrained

WEIGHT = [[1.0, -0.9, 0.3, 0.02], [-0.6, 0.1, 0.4, -0.2]]


def inq(**others: Any) -> IncrementalQuantization:
    fields = {**FIELDS, "epochs": 1, "targets": ["conv", "linear"], "ignore": [], "bits": 5, "portions": [0.5, 1.0]}
    return trained_by(IncrementalQuantization, **{**fields, **others})


def eight_weights() -> Subject:
    """Return a network of one linear layer from 4 to 2 without a bias."""
    subject = bare(seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False))))
    subject.model.load_state_dict({"1.weight": torch.tensor(WEIGHT)})
    return subject


class Moving(StageContext):
    """Trains by adding the same number to every weight that may move. frozen: where they may not, of each training."""

    def __init__(self, by: float = 0.0, seed: int = 0):
        super().__init__(seed=seed)
        self.by = by
        self.frozen: list[list[list[bool]]] = []

    def train(self, subject: Subject, training: TrainingConfig, objective: Any = None, hooks: Any = ()) -> Subject:
        (promise,) = subject.constraints
        assert isinstance(promise, Frozen)
        self.frozen.append(promise.where.tolist())
        with torch.no_grad():
            subject.model.get_parameter("1.weight").add_(self.by)
        subject.enforce()
        return subject


@pytest.mark.parametrize(
    ("partition", "chosen"),
    [
        ("largest", [[True, True, False, False], [True, False, True, False]]),
        ("smallest", [[False, False, True, True], [False, True, False, True]]),
    ],
)
def test_the_partition_says_which_half_comes_first(partition: str, chosen: list[list[bool]]) -> None:
    context = Moving()
    inq(partition=partition).apply(eight_weights(), context)
    assert context.frozen == [chosen]


def test_a_random_partition_hangs_on_the_seed_alone_and_takes_as_many_as_it_should() -> None:
    def chosen(seed: int) -> list[list[list[bool]]]:
        context = Moving(seed=seed)
        inq(partition="random", portions=[0.25, 0.75, 1.0]).apply(eight_weights(), context)
        return context.frozen

    torch.manual_seed(3)
    state = torch.get_rng_state()
    draws = [chosen(seed) for seed in range(20)]
    assert torch.equal(torch.get_rng_state(), state)
    assert chosen(7) == draws[7]
    assert [Tensor(step).sum() for step in draws[7]] == [2, 6]
    for first, second in draws:
        assert (torch.tensor(second) | ~torch.tensor(first)).all(), "what is quantized stays so"
    share = torch.tensor([first for first, _ in draws]).float().mean(0)
    assert (share < 0.8).all(), "no weight is always first, as the largest would be"


@pytest.mark.parametrize(
    ("beyond", "wanted"),
    [
        # Added 0.6 to the largest four, the smallest are quantized: 1.6 is beyond 3/2, 1.0 and the rest are not.
        ("largest", [[1.0, -0.25, 0.25, 2.0**-6], [0.0, 0.125, 1.0, -0.25]]),
        ("zero", [[0.0, -0.25, 0.25, 2.0**-6], [0.0, 0.125, 1.0, -0.25]]),
    ],
)
def test_a_weight_that_grew_beyond_the_largest_power_becomes_it_or_zero(beyond: str, wanted: list[list[float]]) -> None:
    """-0.9 + 0.6 = -0.3 and -0.6 + 0.6 = 0; n1 = 0, for the largest weight was 1."""
    subject = inq(partition="smallest", beyond=beyond).apply(eight_weights(), Moving(by=0.6))
    assert torch.equal(subject.model.get_parameter("1.weight").detach(), torch.tensor(wanted))
    assert subject.formats == {"1.weight": PowerOfTwo(5, 0)}


def test_the_rule_of_the_paper_ends_at_three_halves_of_the_largest_power() -> None:
    weight = torch.tensor([1.49, 1.5, 9.0, -1.5, 0.0])
    assert to_powers(weight, 4, 0, beyond="zero").tolist() == [1.0, 0.0, 0.0, 0.0, 0.0]
    assert to_powers(torch.zeros(1), 4, -9, beyond="zero").tolist() == [0.0]


def test_norms_and_biases_become_powers_too_and_running_statistics_do_not() -> None:
    subject, plain = learned(), inq().apply(learned(), DigitsContext())
    largest = {name: parameter.detach().abs().max() for name, parameter in subject.model.named_parameters()}
    subject = inq(batch_norm_and_biases=True).apply(subject, DigitsContext())
    assert plain.formats.keys() == {"1.weight", "4.weight", "7.weight"}
    assert subject.formats.keys() == dict(subject.model.named_parameters()).keys()
    for name, form in subject.formats.items():
        assert isinstance(form, PowerOfTwo)
        assert 0.75 * 2.0**form.largest <= largest[name] < 1.5 * 2.0**form.largest, "of the tensor's own largest"
        parameter = subject.model.get_parameter(name).detach()
        assert torch.equal(to_powers(parameter, 5, form.largest), parameter)
    mean = subject.model.get_buffer("2.running_mean")
    assert not torch.equal(to_powers(mean, 5, 0), mean)
    assert_stored_exactly(subject)
    assert_plain(subject)


def test_norms_and_biases_are_frozen_in_the_same_portions() -> None:
    """64 elements a tensor, of the last bias 10: a half of each is frozen while the rest is trained."""
    frozen: dict[str, int] = {}

    class Counting(DigitsContext):
        def train(
            self, subject: Subject, training: TrainingConfig, objective: Any = None, hooks: Sequence[Hook] = ()
        ) -> Subject:
            for kept in subject.constraints:
                assert isinstance(kept, Frozen)
                frozen[kept.parameter] = int(kept.where.sum())
            return super().train(subject, training, objective, hooks)

    inq(batch_norm_and_biases=True).apply(learned(), Counting())
    assert frozen["1.bias"] == frozen["2.weight"] == frozen["2.bias"] == 32
    assert frozen["7.bias"] == 5
    assert len(frozen) == 10


def test_a_layer_that_is_kept_keeps_its_bias_and_a_tensor_of_zeros_is_left_out_by_name() -> None:
    subject = learned()
    nn.init.zeros_(subject.model.get_parameter("2.bias"))
    subject = inq(batch_norm_and_biases=True, ignore=["last"], portions=[1.0]).apply(subject, DigitsContext())
    assert "7.bias" not in subject.formats
    assert "2.weight" in subject.formats
    assert "2.bias" not in subject.formats
    assert [skipped.what for skipped in subject.skipped] == ["2.bias"]


def test_all_of_it_is_decoded_bit_for_bit_and_survives_a_later_training(tmp_path: Path) -> None:
    context = StageContext()
    technique = inq(partition="smallest", beyond="zero", batch_norm_and_biases=True, portions=[0.5, 0.75, 1.0])
    subject = CodeWithEntropy(context=True).apply(technique.apply(untrained(whole=False).clone(), context), context)
    assert subject.format_of("bn3.weight") == PowerOfTwo(5, 0), "gammas that start at 1"
    subject = context.train(subject, technique.training)
    assert not subject.broken()
    write(subject, tmp_path / "model.cbp")
    decoded = read(tmp_path / "model.cbp").model.state_dict()
    for name, tensor in subject.model.state_dict().items():
        assert torch.equal(decoded[name], tensor), name


@pytest.mark.parametrize(("small", "largest"), [(2, 0), (10, -2)])
def test_the_largest_power_may_be_the_one_with_the_least_squared_error(small: int, largest: int) -> None:
    """A weight of 1 and n of 0.3 in 2 bits. Powers 1: 0.09 n; 1/2: 0.25 + 0.04 n; 1/4: 0.5625 + 0.0025 n; n = 2 gives
    0.18, 0.33, 0.57, and n = 10 gives 0.9, 0.65, 0.59."""
    weight = torch.tensor([1.0, *[0.3] * small])
    assert largest_power(weight, 2, "mse") == largest
    assert largest_power(-weight, 2, "mse") == largest
    assert largest_power(weight, 2, "max") == 0


def test_ternary_weights_lose_less_of_what_they_were_by_the_least_squared_error() -> None:
    def error(how: str) -> float:
        weight = seeded(lambda: torch.randn(4_096))
        return float((to_powers(weight, 2, largest_power(weight, 2, how)) - weight).square().mean())

    assert error("mse") < 0.25 < 0.8 < error("max"), "of a variance of 1"


@pytest.mark.slow
def test_digits_are_read_after_many_small_steps_to_two_bits() -> None:
    portions = [0.2, 0.4, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.975, 1.0]
    technique = inq(bits=2, epochs=2, lr=0.1, portions=portions, largest_power="mse")
    assert accuracy(technique.apply(learned(), DigitsContext())) >= accuracy(learned()) - 0.06


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"partition": "smalest"}, "partition is 'smalest'; did you mean 'smallest'"),
        ({"beyond": "nothing"}, "beyond is 'nothing'; allowed: largest, zero"),
        ({"largest_power": "min"}, "largest_power is 'min'"),
        ({"largest_power": "mse", "beyond": "zero"}, "beyond is 'zero', and largest_power 'mse'"),
    ],
)
def test_fields_that_mean_nothing_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        inq(**fields)
