"""The start is a freshly initialised network, or given weights that fit it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from compressbench.core.errors import RunError
from compressbench.core.plan import Plan
from compressbench.running.dry_run import dry_run
from compressbench.running.start import start_subject
from tests.running.plans import LENET, plan


def with_weights(weights: Path | str) -> Plan:
    return replace(plan(), model=replace(plan().model, weights=str(weights)))


def test_the_same_seed_gives_the_same_weights_and_leaves_the_random_state_alone() -> None:
    before = torch.get_rng_state()
    first, second, other = (start_subject(plan(seed=seed)).model.conv1.weight for seed in (0, 0, 1))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(before, torch.get_rng_state())


def test_given_weights_are_taken(tmp_path: Path) -> None:
    network = LENET.build()
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    started = start_subject(with_weights(tmp_path / "weights.pth")).model
    assert torch.equal(started.conv1.weight, network.conv1.weight)


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model", "net"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.module.", "module._orig_mod."])
def test_a_checkpoint_of_a_training_is_unwrapped(key: str, prefix: str, tmp_path: Path) -> None:
    network = LENET.build()
    state = {f"{prefix}{name}": tensor for name, tensor in network.state_dict().items()}
    torch.save({"epoch": 3, key: state, "optimizer": {"state": {}}}, tmp_path / "last.pt")
    started = start_subject(with_weights(tmp_path / "last.pt")).model
    assert torch.equal(started.conv1.weight, network.conv1.weight)


def test_a_whole_pickled_network_is_refused_in_one_line_that_says_what_to_write(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "whole.pt")
    with pytest.raises(RunError, match=r"write one with torch\.save\(model\.state_dict\(\), FILE\)") as caught:
        start_subject(with_weights(tmp_path / "whole.pt"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["nothing", "text", "another network", "a list"])
def test_weights_that_cannot_be_used_are_a_fault_before_training_and_name_the_key(content: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    if content == "text":
        path.write_text("no weights")
    elif content == "another network":
        torch.save(torch.nn.Linear(2, 2).state_dict(), path)
    elif content == "a list":
        torch.save([1, 2], path)
    _, faults = dry_run(with_weights(path), tmp_path / "outputs")
    assert [fault.where for fault in faults] == ["model.weights"]
    with pytest.raises(RunError, match=r"model\.weights"):
        start_subject(with_weights(path))
