"""A whole training: length, curve, randomness, resumption."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from compressbench.core.data import Splits
from compressbench.core.faults import RunError
from compressbench.core.plan import Limits
from compressbench.core.subject import Subject
from compressbench.core.training import Training
from compressbench.training import loop
from compressbench.training.loop import Trained, train

Run = Callable[..., Trained]


@pytest.fixture
def run(digits: Splits, steps: Any, fresh: Callable[[], Subject]) -> Run:
    def run(
        training: Training, limits: Limits | None = None, seed: int = 3, last: int | None = None, **others: Any
    ) -> Trained:
        return train(
            fresh(),
            training,
            digits.train,
            others.pop("validation", digits.validation),
            seed=seed,
            limits=limits or Limits(),
            progress=steps(last),
            **others,
        )

    return run


def same(one: Trained, other: Trained) -> bool:
    """Return whether weights, statistics and curves agree to the last bit."""
    theirs = other.subject.model.state_dict()
    equal = [torch.equal(tensor, theirs[name]) for name, tensor in one.subject.model.state_dict().items()]
    return all(equal) and without_seconds(one) == without_seconds(other)


def without_seconds(trained: Trained) -> list[dict[str, float]]:
    return [{key: value for key, value in entry.items() if key != "seconds"} for entry in trained.curve]


def test_digits_are_learned(run: Run, short: Training) -> None:
    trained = run(short)
    assert [entry["epoch"] for entry in trained.curve] == [1, 2, 3, 4]
    assert trained.curve[-1]["validation_top1"] > 0.9
    assert trained.curve[-1]["train_loss"] < trained.curve[0]["train_loss"] / 3
    assert trained.curve[-1]["lr"] == pytest.approx(0.1 / 10_000)
    assert set(trained.curve[0]) == {"epoch", "train_loss", "validation_loss", "validation_top1", "lr", "seconds"}
    assert not trained.subject.model.training


def test_validation_agrees_with_the_network_that_is_returned(run: Run, short: Training, digits: Splits) -> None:
    trained = run(short)
    images, labels = next(digits.validation.batches(180))
    with torch.no_grad():
        right = trained.subject.model(images).argmax(1) == labels
    assert trained.curve[-1]["validation_top1"] == pytest.approx(float(right.float().mean()))


def test_the_same_seed_gives_the_same_bits_and_another_does_not(run: Run, short: Training) -> None:
    first = run(short)
    torch.rand(100)
    assert same(first, run(short))
    assert not same(first, run(short, seed=4))


@pytest.mark.parametrize("precision", ["fp32", "auto"])
def test_the_global_random_state_is_left_alone(run: Run, short: Training, precision: str) -> None:
    run(replace(short, epochs=1))  # building the network seeds it
    before = torch.random.get_rng_state()
    run(replace(short, epochs=6, precision=precision), limits=Limits(steps=9))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_limits_cut_epochs_and_steps_and_shrink_the_schedule(run: Run, short: Training) -> None:
    trained = run(replace(short, epochs=100), limits=Limits(epochs=2, steps=3))
    assert len(trained.curve) == 2
    assert trained.curve[-1]["lr"] == pytest.approx(0.1 / 10_000)


def test_no_epochs_leave_the_network_as_it_is(run: Run, short: Training, fresh: Callable[[], Subject]) -> None:
    trained = run(replace(short, epochs=0))
    assert trained.curve == []
    before = fresh().model.state_dict()
    assert all(torch.equal(tensor, before[name]) for name, tensor in trained.subject.model.state_dict().items())


def test_a_training_without_validation_images_has_a_curve_of_its_loss(run: Run, short: Training) -> None:
    trained = run(short, validation=[])
    assert set(trained.curve[0]) == {"epoch", "train_loss", "lr", "seconds"}
    with pytest.raises(ValueError, match="no validation images"):
        run(replace(short, select="best"), validation=[])


def test_best_returns_the_epoch_that_validated_best(run: Run, short: Training, digits: Splits) -> None:
    calls = 0

    def unlearn_in_the_last_epoch(model: torch.nn.Module) -> None:
        nonlocal calls
        calls += 1
        if calls > 27:
            model.get_parameter("6.weight").grad.mul_(-50)

    constant = replace(short, schedule="constant", select="best")
    trained = run(constant, penalty=unlearn_in_the_last_epoch)
    best = max(entry["validation_top1"] for entry in trained.curve)
    assert trained.curve[-1]["validation_top1"] < best
    images, labels = next(digits.validation.batches(180))
    with torch.no_grad():
        right = trained.subject.model(images).argmax(1) == labels
    assert float(right.float().mean()) == pytest.approx(best)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("setting", [("fp32", "contiguous"), ("bf16", "channels_last")])
@pytest.mark.parametrize("select", ["last", "best"])
def test_a_killed_training_goes_on_to_the_same_bits(
    run: Run,
    short: Training,
    killed: type[Exception],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    optimizer: str,
    setting: tuple[str, str],
    select: str,
) -> None:
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    monkeypatch.setattr(loop, "_setting", lambda *_: loop.Setting(*setting))
    training = replace(short, optimizer=optimizer, select=select, lr=0.1 if optimizer == "sgd" else 0.003)
    undisturbed = run(training)
    with pytest.raises(killed):
        run(training, checkpoint=tmp_path / "0", last=20)
    torch.rand(7)
    progress_made = run(training, checkpoint=tmp_path / "0")
    assert same(undisturbed, progress_made)
    assert undisturbed.setting == progress_made.setting
    assert all(p.is_contiguous() for p in progress_made.subject.model.parameters())


def test_a_finished_training_is_not_repeated(run: Run, short: Training, tmp_path: Path) -> None:
    first = run(short, checkpoint=tmp_path / "0")
    start = time.monotonic()
    second = run(short, checkpoint=tmp_path / "0")
    assert time.monotonic() - start < 0.5
    assert same(first, second)
    assert first.curve == second.curve  # seconds and all


def test_a_checkpoint_of_another_training_is_ignored_with_a_warning(run: Run, short: Training, tmp_path: Path) -> None:
    run(short, checkpoint=tmp_path / "0")
    longer = replace(short, epochs=5)
    with pytest.warns(UserWarning, match="belongs to another training"):
        trained = run(longer, checkpoint=tmp_path / "0")
    assert same(trained, run(longer))


def test_checkpoints_are_not_written_more_often_than_every_few_seconds(
    run: Run, short: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []
    monkeypatch.setattr(loop, "write", lambda path, identity, state: written.append(state.epoch))
    run(short, checkpoint=tmp_path / "0")
    assert written == [4]
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    run(short, checkpoint=tmp_path / "0")
    assert written == [4, 1, 2, 3, 4]


def test_a_passed_deadline_stops_after_the_epoch_and_keeps_the_checkpoint(
    run: Run, short: Training, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match=r"seconds of the budget are used up after epoch 1 of 4; the last good"):
        run(short, checkpoint=tmp_path / "0", deadline=time.monotonic() - 1)
    assert same(run(short, checkpoint=tmp_path / "0"), run(short))


def test_a_deadline_passed_in_the_last_epoch_is_the_end(run: Run, short: Training) -> None:
    assert len(run(replace(short, epochs=1), deadline=time.monotonic() - 1).curve) == 1


def test_not_a_number_keeps_the_last_good_checkpoint(
    run: Run, short: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    calls = 0

    def poison(model: torch.nn.Module) -> None:
        nonlocal calls
        calls += 1
        if calls > 20:
            model.get_parameter("6.weight").grad.fill_(float("nan"))

    with pytest.raises(RunError, match=rf"epoch 3.*the last good checkpoint is kept: {tmp_path / '0'}"):
        run(short, penalty=poison, checkpoint=tmp_path / "0")
    assert same(run(short, checkpoint=tmp_path / "0"), run(short))


@pytest.mark.parametrize("setting", [("fp32", "channels_last"), ("bf16", "channels_last")])
def test_a_training_that_fails_leaves_the_network_plain(
    fresh: Callable[[], Subject],
    short: Training,
    digits: Splits,
    steps: Any,
    killed: type[Exception],
    monkeypatch: pytest.MonkeyPatch,
    setting: tuple[str, str],
) -> None:
    monkeypatch.setattr(loop, "_setting", lambda *_: loop.Setting(*setting))
    subject = fresh()
    subject.model.get_parameter("0.bias").requires_grad_(False)
    state = torch.random.get_rng_state()
    with pytest.raises(killed):
        train(subject, short, digits.train, digits.validation, seed=3, limits=Limits(), progress=steps(12))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not any(module.training for module in subject.model.modules())
    assert all(p.is_contiguous() and p.dtype == torch.float32 and p.grad is None for p in subject.model.parameters())
    assert [n for n, p in subject.model.named_parameters() if not p.requires_grad] == ["0.bias"]


def test_a_batch_larger_than_the_split_is_one_step_of_all_of_it(run: Run, short: Training, digits: Splits) -> None:
    whole = replace(short, epochs=1, batch_size=len(digits.train))
    assert same(run(replace(whole, batch_size=5000)), run(whole))


def test_a_split_without_images_is_refused(fresh: Callable[[], Subject], short: Training, steps: Any) -> None:
    with pytest.raises(ValueError, match="there are no training images"):
        train(fresh(), short, [], [], seed=0, limits=Limits(), progress=steps())  # type: ignore[arg-type]


CHILD = """
import sys, torch
from pathlib import Path
from contextlib import contextmanager
from torch import nn
from compressbench.core.architecture import Architecture
from compressbench.core.plan import Limits
from compressbench.core.subject import Subject
from compressbench.core.training import Training
from compressbench.data.digits import Digits
from compressbench.training import loop

class Quiet:
    @contextmanager
    def task(self, description, total):
        yield lambda steps=1, note="": print(steps, flush=True)

torch.set_num_threads(1)
torch.manual_seed(0)
loop.SECONDS_BETWEEN_CHECKPOINTS = 0.0
digits = Digits().load()
model = nn.Sequential(nn.Flatten(), nn.Linear(1024, 300), nn.ReLU(), nn.Linear(300, 10))
training = Training(40, 64, 0.01, "sgd", "cosine", 1e-4, precision="fp32")
trained = loop.train(Subject(model, Architecture("")), training, digits.train, digits.validation, seed=1,
                     limits=Limits(), progress=Quiet(), checkpoint=Path(sys.argv[1]))
torch.save(model.state_dict(), sys.argv[2])
"""


@pytest.mark.slow
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
