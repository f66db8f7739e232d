"""What lets a technique choose: validation and counting, in a run and in a dry run; and who trains for it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from compressbench.core.context import Context
from compressbench.core.errors import RunError
from compressbench.core.objective import Objective, Seen
from compressbench.core.plan import Stage
from compressbench.core.source import Source
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.core.trainer import Trained
from compressbench.core.training import TrainingConfig
from compressbench.packing import packed_file
from compressbench.running.dry_run import dry_run
from compressbench.running.progress import SilentProgress
from compressbench.running.run import run
from compressbench.training.loop import train
from tests.running.plans import TRAINING, plan

HEARD: list[dict[str, Any]] = []
"""What `Choosing` was told, in order."""


@dataclass(frozen=True)
class Choosing(Technique):
    """Train, then look at everything there is to choose by."""

    training: TrainingConfig = field(default_factory=lambda: TrainingConfig(**TRAINING))

    adds: ClassVar[frozenset[str]] = frozenset({"trained"})

    def apply(self, subject: Subject, context: Context) -> Subject:
        subject = context.train(subject, self.training)
        start = context.subject_of(Source("start")).model.state_dict()
        moved = any(not torch.equal(tensor, start[name]) for name, tensor in subject.model.state_dict().items())
        HEARD.append({**context.validate(subject), **context.count(subject), "moved": moved})
        return subject


@pytest.fixture(autouse=True)
def silence() -> None:
    HEARD.clear()


CHOOSING = plan(stages=(Stage("choose", "tests/choosing", Choosing()),))


def test_a_technique_learns_what_its_subject_takes_and_how_good_it_is(tmp_path: Path) -> None:
    record = run(CHOOSING, tmp_path, SilentProgress())
    (heard,) = HEARD
    measured = record.final.metrics
    assert [heard[name] for name in ("params", "macs")] == [measured[name] for name in ("params", "macs")]
    subject = packed_file.read(tmp_path / "cache" / "stages" / record.final.stage_id / "model.cbp")
    packed_file.write(subject, tmp_path / "bare.cbp")
    assert heard["size_bytes"] == (tmp_path / "bare.cbp").stat().st_size
    last = record.stages[0].curve[-1]
    assert heard["top1"] == last["validation_top1"]
    assert heard["loss"] == pytest.approx(last["validation_loss"], rel=1e-6)
    assert heard["moved"]


def test_a_dry_run_counts_exactly_and_makes_the_accuracy_up(tmp_path: Path) -> None:
    stages, faults = dry_run(CHOOSING, tmp_path)
    assert not faults
    (heard,) = HEARD
    assert heard["params"] == stages[0].counts["params"]
    assert heard["size_bytes"] > 4 * heard["params"]  # 32 bits each
    assert heard["top1"] == heard["loss"] == 0.5


def test_without_held_out_images_nobody_can_choose_by_them(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class NothingHeldOut(type(CHOOSING.dataset)):  # type: ignore[misc]
        validation_images: int = 0

    blind = replace(CHOOSING, dataset=NothingHeldOut(**vars(CHOOSING.dataset)))
    _, faults = dry_run(blind, tmp_path)
    (fault,) = faults
    assert fault.where == "stages.choose"
    assert "no training examples are held out" in fault.what


def test_another_trainer_may_carry_the_trainings_out(tmp_path: Path) -> None:
    lengths = []

    def elsewhere(subject: Subject, config: TrainingConfig, *splits: Any, **rest: Any) -> Trained:
        lengths.append(config.epochs)
        return train(subject, config, *splits, **rest)

    first = run(plan(), tmp_path / "here", SilentProgress())
    second = run(plan(), tmp_path / "there", SilentProgress(), trainer=elsewhere)
    assert lengths == [2, 2]
    assert first.final.metrics == second.final.metrics


def test_an_objective_that_cannot_be_computed_is_found_before_anything_is_trained(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Scored(Choosing):
        feature: str = "conv1"
        columns: int = 4

        def apply(self, subject: Subject, context: Context) -> Subject:
            def loss(seen: Seen) -> torch.Tensor:
                return (seen.outputs * torch.ones(2, self.columns)).sum() + seen.features[self.feature].sum()

            return context.train(subject, self.training, Objective(loss, (self.feature,)))

    def fault(**fields: Any) -> str:
        return dry_run(plan(stages=(Stage("choose", "tests/choosing", Scored(**fields)),)), tmp_path)[1][0].what

    assert not dry_run(plan(stages=(Stage("choose", "tests/choosing", Scored()),)), tmp_path)[1]
    assert "features has 'conv9'" in fault(feature="conv9")
    assert "its objective cannot be computed: The size of tensor" in fault(columns=3)
    rates = replace(TrainingConfig(**TRAINING), lr_factors={"bn*": 0.1})
    assert "matches no parameter" in fault(training=rates)


def test_a_stage_that_is_not_there_is_named(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Looking(Choosing):
        def apply(self, subject: Subject, context: Context) -> Subject:
            return context.subject_of(Source("strat"))

    looking = plan(stages=(Stage("look", "tests/looking", Looking()),))
    assert "did you mean 'start'?" in dry_run(looking, tmp_path)[1][0].what
    with pytest.raises(RunError, match="no stage 'strat'"):
        run(looking, tmp_path, SilentProgress())
