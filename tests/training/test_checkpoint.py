"""Checkpoints: what is written is read back, and what cannot be read is not fatal."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch
from torch import nn

from compressbench.core.errors import RunError
from compressbench.training.checkpoint import (
    Checkpoint,
    fingerprint,
    optimizer_state,
    read,
    restore_optimizer,
    write,
)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8, 10))


def trained(model: nn.Module, optimizer: torch.optim.Optimizer) -> Checkpoint:
    model(torch.randn(4, 3, 3, 3)).sum().backward()
    optimizer.step()
    curve = [{"epoch": 1.0, "train_loss": 1 / 3, "lr": 0.1}]
    return Checkpoint(1, curve, model.state_dict(), optimizer_state(optimizer), {"x": torch.ones(2)})


@pytest.fixture
def checkpoint() -> Checkpoint:
    model = network()
    return trained(model, torch.optim.SGD(model.parameters(), 0.1, 0.9))


def test_everything_is_read_back_to_the_last_bit(tmp_path: Path, checkpoint: Checkpoint) -> None:
    write(tmp_path / "deep" / "0", "me", checkpoint)
    found = read(tmp_path / "deep" / "0", "me")
    assert found is not None
    assert (found.epoch, found.curve) == (1, checkpoint.curve)
    assert found.model.keys() == checkpoint.model.keys()
    assert all(torch.equal(tensor, found.model[name]) for name, tensor in checkpoint.model.items())
    assert all(
        torch.equal(tensor, found.optimizer[index][key])
        for index, state in checkpoint.optimizer.items()
        for key, tensor in state.items()
    )
    assert len(found.optimizer) == 6
    assert torch.equal(found.best["x"], torch.ones(2))


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam])
def test_a_restored_optimizer_takes_the_same_next_step(tmp_path: Path, kind: type[torch.optim.Optimizer]) -> None:
    options = {"momentum": 0.9} if kind is torch.optim.SGD else {}
    steps = []
    for restored in (False, True):
        model = network().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimizer = kind(model.parameters(), lr=0.1, fused=True, **options)  # type: ignore[call-arg]
        torch.manual_seed(1)
        saved = trained(model, optimizer)
        if restored:
            write(tmp_path / "0", "me", saved)
            optimizer = kind(model.parameters(), lr=0.1, fused=True, **options)  # type: ignore[call-arg]
            found = read(tmp_path / "0", "me")
            assert found is not None
            restore_optimizer(optimizer, found.optimizer)
        optimizer.step()
        steps.append([parameter.detach().clone() for parameter in model.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*steps, strict=True))


def test_shared_weights_can_be_written(tmp_path: Path, checkpoint: Checkpoint) -> None:
    weight = torch.randn(4, 4)
    checkpoint.model = {"first": weight, "second": weight}
    write(tmp_path / "0", "me", checkpoint)
    found = read(tmp_path / "0", "me")
    assert found is not None
    assert torch.equal(found.model["first"], weight)
    assert torch.equal(found.model["second"], weight)


def test_no_checkpoint_is_no_fault(tmp_path: Path) -> None:
    assert read(tmp_path / "none", "me") is None


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "flipped head", "other"])
def test_what_cannot_be_used_is_ignored_with_a_warning(tmp_path: Path, checkpoint: Checkpoint, damage: str) -> None:
    file = tmp_path / "0"
    write(file, "you" if damage == "other" else "me", checkpoint)
    content = file.read_bytes()
    damaged = {
        "cut": content[: len(content) // 2],
        "empty": b"",
        "text": b"not a checkpoint at all, but longer than a header",
        "flipped head": bytes(255 - byte for byte in content[:64]) + content[64:],
        "other": content,
    }
    file.write_bytes(damaged[damage])
    with pytest.warns(UserWarning, match=f"checkpoint {file} is ignored, training starts anew"):
        assert read(file, "me") is None


def test_a_full_disk_says_where_and_how_much_and_leaves_the_old_checkpoint(
    tmp_path: Path, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "0", "me", checkpoint)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    checkpoint.epoch = 2
    with pytest.raises(RunError, match=rf"{tmp_path / '0'}.*\d bytes.*No space left on device"):
        write(tmp_path / "0", "me", checkpoint)
    assert [file.name for file in tmp_path.iterdir()] == ["0"]
    found = read(tmp_path / "0", "me")
    assert found is not None
    assert found.epoch == 1


def test_fingerprints_follow_weights_statistics_and_shapes_but_not_the_layout() -> None:
    model = network()
    before = fingerprint(model)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    assert fingerprint(model) == before == fingerprint(network())
    model.get_buffer("1.running_mean")[0] += 1e-6
    assert fingerprint(model) != before
    assert fingerprint(nn.Linear(2, 3)) != fingerprint(nn.Linear(3, 2))
