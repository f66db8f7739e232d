"""The rule behind `precision: auto`, and what a setting does to a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from compressbench.training.autotuning import PLAIN, Setting, decide, has_bf16

CPU, GPU = torch.device("cpu"), torch.device("cuda")
FAST = Setting("bf16", "channels_last")


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Dropout(), nn.Flatten(), nn.Linear(288, 10))


def layer(macs: int, side: int = 0) -> dict[str, Any]:
    """Return a convolution with output images of side x side, or without a side a fully connected layer."""
    return {"kind": "Conv2d" if side else "Linear", "output_shape": [16, side, side] if side else [16], "macs": macs}


def test_convolutions_over_many_positions_are_trained_in_bf16() -> None:
    assert decide([layer(60, side=8), layer(40)], CPU, threads=1, bf16=True) == FAST


def test_a_network_whose_work_lies_in_small_images_or_no_convolutions_stays_in_fp32() -> None:
    assert decide([layer(40, side=8), layer(60)], CPU, threads=1, bf16=True) == PLAIN
    assert decide([layer(40, side=8), layer(60, side=7)], CPU, threads=1, bf16=True) == PLAIN
    assert decide([layer(100)], CPU, threads=1, bf16=True) == PLAIN
    assert decide([], CPU, threads=1, bf16=True) == PLAIN


def test_without_instructions_for_bf16_or_with_several_threads_it_is_fp32() -> None:
    assert decide([layer(1, side=32)], CPU, threads=1, bf16=False) == PLAIN
    assert decide([layer(1, side=32)], CPU, threads=2, bf16=True) == PLAIN


def test_a_gpu_computes_in_tf32_whatever_the_network() -> None:
    assert decide([layer(1)], GPU, threads=8, bf16=False) == Setting("tf32", "channels_last")


@pytest.mark.parametrize(
    ("line", "has"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16 avx512_fp16", True),
        ("flags\t\t: fpu amx_bf16 amx_tile", True),
        ("flags\t\t: fpu avx2 avx512f avx512_vnni", False),
        ("model name\t: avx512_bf16", False),
        ("", False),
    ],
)
def test_the_instructions_are_read_from_the_system(line: str, has: bool, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{line}\n")
    assert has_bf16(tmp_path / "cpuinfo") is has


def test_a_system_that_does_not_say_has_none(tmp_path: Path) -> None:
    assert not has_bf16(tmp_path / "nothing")


def test_a_setting_places_images_and_weights_and_describes_itself(model: nn.Module) -> None:
    chosen = FAST
    chosen.arrange(model)
    assert model.get_parameter("0.weight").is_contiguous(memory_format=torch.channels_last)
    assert chosen.place(torch.zeros(2, 3, 8, 8), CPU).is_contiguous(memory_format=torch.channels_last)
    PLAIN.arrange(model)
    assert model.get_parameter("0.weight").is_contiguous()
    threads = str(torch.get_num_threads())
    found = {"precision": "bf16", "layout": "channels_last", "device": "cpu", "threads": threads}
    assert chosen.described(CPU) == found
    assert Setting(*str(chosen).split()) == chosen


def test_autocast_runs_convolutions_in_bf16_and_keeps_the_weights(model: nn.Module) -> None:
    with Setting("bf16").autocast(CPU):
        assert model(torch.zeros(2, 3, 8, 8)).dtype == torch.bfloat16
    with PLAIN.autocast(CPU):
        assert model(torch.zeros(2, 3, 8, 8)).dtype == torch.float32
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_a_gpu_computes_in_tf32_only_where_the_setting_says_so(model: nn.Module) -> None:
    flags = (torch.backends.cudnn, torch.backends.cuda.matmul)
    Setting("tf32").arrange(model)
    assert [flag.allow_tf32 for flag in flags] == [True, True]
    PLAIN.arrange(model)
    assert [flag.allow_tf32 for flag in flags] == [False, False]
