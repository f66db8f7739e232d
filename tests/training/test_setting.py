"""The probe: what it chooses, what it remembers, what it leaves alone."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier, BrokenBarrierError

import pytest
import torch
from torch import Tensor, nn

from compressbench.training import setting
from compressbench.training.setting import PLAIN, Setting, choose


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Dropout(), nn.Flatten(), nn.Linear(288, 10))


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    return torch.randn(16, 3, 8, 8), torch.zeros(16, dtype=torch.int64)


def timed(monkeypatch: pytest.MonkeyPatch, **seconds: float) -> list[str]:
    """Pretend these times, by precision and layout; return the list of what is timed."""
    asked: list[str] = []

    def pretend(network: nn.Module, candidate: Setting, *_: object) -> float:
        asked.append(f"{candidate.precision}_{candidate.layout}")
        return seconds.get(asked[-1], 1.0)

    monkeypatch.setattr(setting, "_seconds", pretend)
    return asked


def test_the_fastest_is_chosen(monkeypatch: pytest.MonkeyPatch, model: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
    timed(monkeypatch, bf16_contiguous=0.9, bf16_channels_last=0.6, fp32_channels_last=0.7)
    assert choose(model, *batch) == Setting("bf16", "channels_last")


def test_less_than_eight_percent_is_not_worth_it(
    monkeypatch: pytest.MonkeyPatch, model: nn.Module, batch: tuple[Tensor, Tensor]
) -> None:
    timed(monkeypatch, bf16_contiguous=0.93)
    assert choose(model, *batch) == PLAIN


def test_a_folder_that_cannot_be_written_costs_only_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: nn.Module, batch: tuple[Tensor, Tensor]
) -> None:
    (tmp_path / "file").write_text("")
    timed(monkeypatch, bf16_contiguous=0.6)
    with pytest.warns(UserWarning, match="cannot be remembered"):
        assert choose(model, *batch, tmp_path / "file") == Setting("bf16")


def test_near_ties_go_to_the_simpler_setting(
    monkeypatch: pytest.MonkeyPatch, model: nn.Module, batch: tuple[Tensor, Tensor]
) -> None:
    timed(monkeypatch, bf16_contiguous=0.6, bf16_channels_last=0.58)
    assert choose(model, *batch) == Setting("bf16", "contiguous")


def test_networks_without_convolutions_have_no_layout_to_try(
    monkeypatch: pytest.MonkeyPatch, batch: tuple[Tensor, Tensor]
) -> None:
    asked = timed(monkeypatch)
    choose(nn.Sequential(nn.Flatten(), nn.Linear(192, 10)), *batch)
    assert set(asked) == {"fp32_contiguous", "bf16_contiguous"}


def test_the_choice_is_remembered_for_the_same_network_and_batch_only(
    monkeypatch: pytest.MonkeyPatch, model: nn.Module, batch: tuple[Tensor, Tensor], tmp_path: Path
) -> None:
    timed(monkeypatch, bf16_contiguous=0.5)
    first = choose(model, *batch, tmp_path)
    asked = timed(monkeypatch)  # now everything takes as long
    assert choose(model, *batch, tmp_path) == first == Setting("bf16", "contiguous")
    assert not asked
    images, labels = batch
    assert choose(model, images[:8], labels[:8], tmp_path) == PLAIN
    assert asked
    stored = [json.loads(file.read_text()) for file in tmp_path.glob("*.json")]
    assert sorted(entry["precision"] for entry in stored) == ["bf16", "fp32"]


def test_two_that_probe_at_once_take_the_same_choice(
    monkeypatch: pytest.MonkeyPatch, model: nn.Module, batch: tuple[Tensor, Tensor], tmp_path: Path
) -> None:
    both, probes = Barrier(2, timeout=30), []

    def read(file: Path) -> Setting | None:
        found = real(file)
        if found is None and not both.broken:
            with suppress(BrokenBarrierError):
                both.wait(0.5)  # neither has found anything when the other looks, if nothing holds it back
        return found

    def probe(*_: object) -> dict[Setting, float]:
        probes.append(1)
        fast = Setting("bf16") if len(probes) == 1 else Setting("bf16", "channels_last")
        return {PLAIN: 1.0, fast: 0.5}

    real = setting._read
    monkeypatch.setattr(setting, "_read", read)
    monkeypatch.setattr(setting, "_probe", probe)
    with ThreadPoolExecutor(2) as pool:
        chosen = list(pool.map(lambda _: choose(model, *batch, tmp_path), range(2)))
    assert chosen == [Setting("bf16")] * 2
    assert len(probes) == 1


def test_a_spoiled_memory_is_probed_again(
    monkeypatch: pytest.MonkeyPatch, model: nn.Module, batch: tuple[Tensor, Tensor], tmp_path: Path
) -> None:
    timed(monkeypatch, bf16_contiguous=0.5)
    choose(model, *batch, tmp_path)
    (file,) = tmp_path.glob("*.json")
    for content in ("", "{", "{}", '{"precision": "fp8", "layout": "contiguous"}', "[]"):
        file.write_text(content)
        assert choose(model, *batch, tmp_path) == Setting("bf16", "contiguous")
    assert json.loads(file.read_text())["precision"] == "bf16"


def test_the_network_and_the_random_state_are_left_alone(
    model: nn.Module, batch: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setting, "PROBE_SECONDS", 0.0)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.random.get_rng_state()
    model.eval()
    choose(model, *batch)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not model.training
    assert all(parameter.grad is None and parameter.is_contiguous() for parameter in model.parameters())


def test_a_setting_places_images_and_weights_and_describes_itself(model: nn.Module) -> None:
    chosen, cpu = Setting("bf16", "channels_last"), torch.device("cpu")
    chosen.arrange(model)
    assert model.get_parameter("0.weight").is_contiguous(memory_format=torch.channels_last)
    assert chosen.place(torch.zeros(2, 3, 8, 8), cpu).is_contiguous(memory_format=torch.channels_last)
    PLAIN.arrange(model)
    assert model.get_parameter("0.weight").is_contiguous()
    threads = str(torch.get_num_threads())
    found = {"precision": "bf16", "layout": "channels_last", "device": "cpu", "threads": threads}
    assert chosen.described(cpu) == found


def test_autocast_runs_convolutions_in_bf16_and_keeps_the_weights(model: nn.Module) -> None:
    with Setting("bf16").autocast(torch.device("cpu")):
        assert model(torch.zeros(2, 3, 8, 8)).dtype == torch.bfloat16
    with PLAIN.autocast(torch.device("cpu")):
        assert model(torch.zeros(2, 3, 8, 8)).dtype == torch.float32
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_a_gpu_computes_in_tf32_only_where_the_setting_says_so(model: nn.Module) -> None:
    flags = (torch.backends.cudnn, torch.backends.cuda.matmul)
    Setting("tf32").arrange(model)
    assert [flag.allow_tf32 for flag in flags] == [True, True]
    PLAIN.arrange(model)
    assert [flag.allow_tf32 for flag in flags] == [False, False]
