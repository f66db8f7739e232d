"""A training that ends in the middle: killed, out of time or at a number that is none; and how it goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from compressbench.core.errors import RunError
from compressbench.core.objective import Hook
from compressbench.core.training import TrainingConfig
from compressbench.training import loop
from compressbench.training.autotuning import Setting
from tests.training.trained import Run, same


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("setting", [("fp32", "contiguous"), ("bf16", "channels_last")])
@pytest.mark.parametrize("select", ["last", "best"])
def test_a_killed_training_goes_on_to_the_same_bits(
    run: Run,
    short: TrainingConfig,
    killed: type[Exception],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    optimizer: str,
    setting: tuple[str, str],
    select: str,
) -> None:
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    lr, auto = 0.1 if optimizer == "sgd" else 0.003, Setting(*setting)
    training = replace(short, optimizer=optimizer, select=select, lr=lr, precision="auto")
    undisturbed = run(training, auto=str(auto))
    with pytest.raises(killed):
        run(training, checkpoint=tmp_path / "0", last=20, auto=str(auto))
    torch.rand(7)
    progress_made = run(training, checkpoint=tmp_path / "0", auto=str(auto))
    assert same(undisturbed, progress_made)
    assert undisturbed.setting == progress_made.setting
    assert all(p.is_contiguous() for p in progress_made.subject.model.parameters())


def test_rates_of_their_own_are_there_again_after_a_kill(
    run: Run, short: TrainingConfig, killed: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    slow = replace(short, lr_factors={"*.bias": 0.1})
    undisturbed = run(slow)
    assert not same(undisturbed, run(short))
    with pytest.raises(killed):
        run(slow, checkpoint=tmp_path / "0", last=20)
    assert same(undisturbed, run(slow, checkpoint=tmp_path / "0"))


def test_a_finished_training_is_not_repeated(run: Run, short: TrainingConfig, tmp_path: Path) -> None:
    first = run(short, checkpoint=tmp_path / "0")
    start = time.monotonic()
    second = run(short, checkpoint=tmp_path / "0")
    assert time.monotonic() - start < 0.5
    assert same(first, second)
    assert first.curve == second.curve  # seconds and all


def test_a_checkpoint_of_another_training_is_ignored_with_a_warning(
    run: Run, short: TrainingConfig, tmp_path: Path
) -> None:
    run(short, checkpoint=tmp_path / "0")
    longer = replace(short, epochs=5)
    with pytest.warns(UserWarning, match="belongs to another training"):
        trained = run(longer, checkpoint=tmp_path / "0")
    assert same(trained, run(longer))


def test_a_checkpoint_in_another_precision_is_ignored_with_a_warning(
    run: Run, short: TrainingConfig, tmp_path: Path
) -> None:
    training = replace(short, precision="auto")
    run(training, checkpoint=tmp_path / "0", auto="bf16 channels_last")
    with pytest.warns(UserWarning, match="belongs to another training"):
        trained = run(training, checkpoint=tmp_path / "0")
    assert trained.setting["precision"] == "fp32"


def test_checkpoints_are_not_written_more_often_than_every_few_seconds(
    run: Run, short: TrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []
    monkeypatch.setattr(loop, "write", lambda path, identity, state: written.append(state.epoch))
    run(short, checkpoint=tmp_path / "0")
    assert written == [4]
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    run(short, checkpoint=tmp_path / "0")
    assert written == [4, 1, 2, 3, 4]


def test_a_passed_deadline_stops_after_the_epoch_and_keeps_the_checkpoint(
    run: Run, short: TrainingConfig, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match=r"seconds of the budget are used up after epoch 1 of 4; the last good"):
        run(short, checkpoint=tmp_path / "0", deadline=time.monotonic() - 1)
    assert same(run(short, checkpoint=tmp_path / "0"), run(short))


def test_a_deadline_passed_in_the_last_epoch_is_the_end(run: Run, short: TrainingConfig) -> None:
    assert len(run(replace(short, epochs=1), deadline=time.monotonic() - 1).curve) == 1


def test_not_a_number_keeps_the_last_good_checkpoint(
    run: Run, short: TrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    calls = 0

    def poison(model: torch.nn.Module) -> None:
        nonlocal calls
        calls += 1
        if calls > 20:
            model.get_parameter("6.weight").grad.fill_(float("nan"))

    with pytest.raises(RunError, match=rf"epoch 3.*the last good checkpoint is kept: {tmp_path / '0'}"):
        run(short, hooks=[Hook(after_backward=poison)], checkpoint=tmp_path / "0")
    assert same(run(short, checkpoint=tmp_path / "0"), run(short))


CHILD = """
import sys, torch
from pathlib import Path
from contextlib import contextmanager
from torch import nn
from compressbench.core.architecture import Architecture
from compressbench.core.plan import Limits
from compressbench.core.subject import Subject
from compressbench.core.training import TrainingConfig
from compressbench.data.digits import Digits
from compressbench.training import loop
from compressbench.training.autotuning import Setting

class Quiet:
    @contextmanager
    def task(self, description, total):
        yield lambda steps=1, note="": print(steps, flush=True)

torch.set_num_threads(1)
torch.manual_seed(0)
loop.SECONDS_BETWEEN_CHECKPOINTS = 0.0
digits, task = Digits().load(), Digits().task
model = nn.Sequential(nn.Flatten(), nn.Linear(1024, 300), nn.ReLU(), nn.Linear(300, 10))
training = TrainingConfig(40, 64, 0.01, "sgd", "cosine", 1e-4, precision="fp32")
trained = loop.train(Subject(model, Architecture("")), training, digits.train, digits.validation, task=task, seed=1,
                     limits=Limits(), progress=Quiet(), checkpoint=Path(sys.argv[1]))
torch.save(model.state_dict(), sys.argv[2])
"""


@pytest.mark.long
def test_sigkill_at_any_moment_changes_no_bit(tmp_path: Path) -> None:
    def start(name: str) -> subprocess.Popen[str]:
        files = [str(tmp_path / f"{name}.checkpoint"), str(tmp_path / f"{name}.pt")]
        return subprocess.Popen([sys.executable, "-c", CHILD, *files], stdout=subprocess.PIPE, text=True)

    assert start("undisturbed").wait() == 0
    for reports in (3, 8, 15):
        process = start("killed")
        assert process.stdout is not None
        for _ in range(reports):
            assert process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert not (tmp_path / "killed.pt").exists()
    assert start("killed").wait() == 0
    expected, found = (torch.load(tmp_path / f"{name}.pt") for name in ("undisturbed", "killed"))
    assert all(torch.equal(expected[name], found[name]) for name in expected)
