"""Latency: what is timed in turns, and what is said about it."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from compressbench.core.metric import EvaluationInput
from compressbench.data.tasks.image_classification import ImageClassification
from compressbench.metrics import latency
from compressbench.metrics._rounds import Ratio, one_thread, ratio, take_turns
from compressbench.metrics.latency import Latency, agreement, in_torch, random_inputs
from tests.techniques.lending import bare

TASK = ImageClassification([3, 8, 8], 4)
BATCHES = [(torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(number)), None) for number in range(3)]


def network(width: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(), nn.Flatten(), nn.Linear(width * 36, 4)).eval()


def given(own: nn.Module, dense: nn.Module) -> EvaluationInput:
    return EvaluationInput(bare(own), TASK, TASK.example(), lambda: iter(BATCHES), Path("none"), lambda: bare(dense))


def measured(own: nn.Module, dense: nn.Module, runtimes=("onnx", "torch"), batches=(1, 4)) -> dict[str, float]:
    found = Latency(list(runtimes), list(batches), 5, 0.0, 10).measure(given(own, dense))
    assert {m.spec.unit for m in found} == {"ms", "ratio", "fraction"}
    assert {m.name.rpartition("_")[2] for m in found if m.spec.higher_is_better} <= {"ratio", "agreement", "eager"}
    return {m.name: m.value for m in found}


def test_it_says_time_ratio_spread_and_agreement_for_every_runtime_and_batch():
    dense = network(64)
    found = measured(dense, dense)
    names = [f"latency_{runtime}_b{batch}_{what}" for batch in (1, 4) for runtime in ("onnx", "torch") for what in WHAT]
    names += ["latency_onnx_b1_ratio_eager", "latency_onnx_b4_ratio_eager"]
    assert found.keys() == {*names, "latency_onnx_agreement", "latency_torch_agreement"}
    assert all(0 < found[name] < 1000 for name in names if name.endswith("_ms"))
    assert all(0.5 < found[name] < 2 for name in names if name.endswith("_ratio"))  # the same network twice
    assert found["latency_onnx_agreement"] == found["latency_torch_agreement"] == 1.0


WHAT = ("ms", "ratio", "ratio_spread")


def test_a_larger_baseline_makes_a_larger_ratio():
    found = measured(network(8), network(512), ["torch"], [32])
    assert found["latency_torch_b32_ratio"] > 4  # 64 times the work
    assert "latency_onnx_agreement" not in found


def test_the_agreement_is_the_fraction_of_the_first_images_with_the_same_answer():
    def says(*answers: int):
        return lambda images: nn.functional.one_hot(torch.tensor(answers[: len(images)]), 4)

    batches = [(torch.zeros(4, 1), None), (torch.zeros(4, 1), None)]
    assert agreement(says(0, 1, 2, 3), says(0, 1, 2, 0), batches, 100) == 6 / 8
    assert agreement(says(0, 1, 2, 3), says(0, 1, 2, 0), batches, 5) == 4 / 5  # four images, then one
    with pytest.raises(ValueError, match="no example"):
        agreement(says(0), says(0), [], 5)


def test_the_ratio_is_the_median_over_rounds_and_its_spread_the_interquartile_range():
    assert ratio([2.0, 4.0, 6.0, 8.0, 100.0], [2.0] * 5) == Ratio(3.0, 2.0)


def test_everybody_has_a_turn_in_every_round_and_the_order_is_reversed():
    calls: list[str] = []
    works = {name: lambda name=name: (calls.append(name), sum(range(200_000))) for name in "ab"}
    times = take_turns(works, rounds=6, seconds=100)
    assert {name: len(seconds) for name, seconds in times.items()} == {"a": 6, "b": 6}
    turns = "".join(name for place, name in enumerate(calls) if place == 0 or calls[place - 1] != name)
    assert turns == "ab" + "ababab"  # a warm-up, then ba ab ba ab ba ab, whose neighbours are one


def test_rounds_stop_when_the_seconds_are_used_up_but_not_before_the_fifth():
    assert len(take_turns({"a": lambda: None}, rounds=100, seconds=0.0)["a"]) == 5


def test_threads_are_given_back():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    seen = []

    class Counting(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            seen.append(torch.get_num_threads())
            return images.flatten(1)

    try:
        measured(Counting(), Counting(), ["torch"], [1])
        assert set(seen) == {1}
        assert torch.get_num_threads() == 2
        with pytest.raises(RuntimeError), one_thread():
            raise RuntimeError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_the_subject_is_copied_and_random_inputs_leave_the_random_state_alone():
    model = network(4).train()
    state = torch.get_rng_state()
    given = random_inputs(2, torch.zeros(1, 3, 8, 8))
    in_torch(bare(model), torch.zeros(1, 3, 8, 8))(given)
    assert model.training
    assert given.shape == (2, 3, 8, 8)
    assert torch.equal(given, random_inputs(2, torch.zeros(1, 3, 8, 8)))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ((["onx"], [1], 5, 1.0, 10), "did you mean 'onnx'"),
        ((["torch"], [], 5, 1.0, 10), "batches is"),
        ((["torch"], [0], 5, 1.0, 10), "batches is 0; allowed: 1 or more"),
        ((["torch"], [1], 4, 1.0, 10), "rounds is 4; allowed: 5 or more"),
        ((["torch"], [1], 5, -1.0, 10), "seconds is -1"),
        ((["torch"], [1], 5, 1.0, 0), "images is 0"),
    ],
)
def test_fields_out_of_range_are_refused(fields, said):
    with pytest.raises(ValueError, match=said):
        Latency(*fields)


def test_a_missing_runtime_is_said_when_the_measure_is_built(monkeypatch):
    monkeypatch.setattr(latency, "missing_packages", lambda: "onnxruntime cannot be imported")
    with pytest.raises(ValueError, match=r"runtimes has 'onnx', but onnxruntime cannot be imported; .* \[torch\]"):
        Latency(["onnx", "torch"], [1], 5, 1.0, 10)
    Latency(["torch"], [1], 5, 1.0, 10)
