"""Checkpoints are read in whatever a training wrapped them, and no code of theirs is ever run."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.optim.swa_utils import AveragedModel

from compressbench.running.checkpoint_file import read_checkpoint

NETWORK = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
STATE = NETWORK.state_dict()
OTHER = {name: tensor + 1 for name, tensor in STATE.items()}


def saved(content: Any, name: str = "last.pth") -> Path:
    torch.save(content, name)
    return Path(name)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (STATE, ""),
        ({"state_dict": STATE, "epoch": 3}, "under 'state_dict'"),
        ({"model": {"state_dict": STATE}, "optimizer": {"state": {}}}, "under 'model.state_dict'"),
        ({"model_ema": STATE, "args": {"lr": 0.1}}, "under 'model_ema'"),
        ({"model": STATE, "model_ema": OTHER}, "under 'model'"),
        ({"generator": STATE, "step": 7}, "under 'generator'"),
        ({f"module.{name}": tensor for name, tensor in STATE.items()}, "without module"),
        ({f"_orig_mod.module.{name}": tensor for name, tensor in STATE.items()}, "without module and _orig_mod"),
        (AveragedModel(NETWORK).state_dict(), "without module"),
        ({**STATE, "total_ops": torch.zeros(1), "note": "by hand"}, ""),
    ],
    ids=["plain", "dict", "nested", "average", "both", "other", "parallel", "compiled", "swa", "more"],
)
def test_a_state_dict_is_found_in_its_wrapping(content: Any, found: str) -> None:
    checkpoint = read_checkpoint(saved(content))
    assert checkpoint.found == found
    assert list(checkpoint.tensors) == list(STATE)
    assert all(torch.equal(tensor, STATE[name]) for name, tensor in checkpoint.tensors.items())


def test_a_key_says_which_of_several_and_one_that_is_not_there_names_the_nearest() -> None:
    file = saved({"model": STATE, "nets": {"average": OTHER}})
    assert torch.equal(read_checkpoint(file, "nets.average").tensors["0.bias"], OTHER["0.bias"])
    with pytest.raises(ValueError, match=r"nothing under the key 'nets.averaged'; did you mean 'average'\?"):
        read_checkpoint(file, "nets.averaged")


def test_safetensors_are_read() -> None:
    save_file(STATE, "weights.safetensors")
    assert torch.equal(read_checkpoint(Path("weights.safetensors")).tensors["0.weight"], STATE["0.weight"])
    Path("broken.safetensors").write_bytes(b"nothing of that kind")
    with pytest.raises(ValueError, match="is no file of safetensors"):
        read_checkpoint(Path("broken.safetensors"))


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("ran"),)


@pytest.mark.parametrize("write", [torch.save, lambda content, name: Path(name).write_bytes(pickle.dumps(content))])
def test_code_in_a_checkpoint_is_refused_and_not_run(write: Any) -> None:
    write({"state_dict": STATE, "extra": Evil()}, "evil.pth")
    with pytest.raises(ValueError, match=r"without running code from it; write one with torch\.save"):
        read_checkpoint(Path("evil.pth"))
    assert not Path("ran").exists()


@pytest.mark.parametrize("content", [[1, 2], {}, {"epoch": 3}, {"state_dict": {"a": "b"}}])
def test_what_holds_no_tensors_by_name_says_so(content: Any) -> None:
    with pytest.raises(ValueError, match=r"holds (a list, not a state dict|no tensors by name)"):
        read_checkpoint(saved(content))
