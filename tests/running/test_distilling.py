"""Stages whose trainings are scored by a distillation: fine-tuned or quantized, in a run and in a dry run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from compressbench.core.context import Context
from compressbench.core.objective import Objective, Seen
from compressbench.core.plan import Budget, Plan, Stage
from compressbench.core.source import Source
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.packing import packed_file
from compressbench.running.cache import StageCache
from compressbench.running.dry_run import dry_run
from compressbench.running.progress import SilentProgress
from compressbench.running.provenance import origin
from compressbench.running.run import run
from compressbench.techniques.distillation.kd import KnowledgeDistillation
from compressbench.techniques.quantization.inq import IncrementalQuantization
from compressbench.techniques.quantization.qat_int8 import QuantizationAwareInt8
from compressbench.techniques.training.finetune import Finetune
from tests.running.plans import TRAINING, plan
from tests.techniques.lending import trained_by

KD = Stage("distill", "distillation/kd", KnowledgeDistillation(Source("train"), temperature=2.0, weight=1.0))


@dataclass(frozen=True)
class Following(Technique):
    """Has what a named module returns follow the teacher's, through a learned regressor. seen: the shapes it saw."""

    teacher: Source
    features: list[str]
    training: TrainingConfig | None = None

    adds: ClassVar[frozenset[str]] = frozenset({"trained"})
    seen: ClassVar[list[Any]] = []

    def apply(self, subject: Subject, context: Context) -> Subject:
        assert self.training
        return context.train(subject, self.training, self.objective(subject, context))

    def objective(self, subject: Subject, context: Context) -> Objective:
        (name,), teacher = self.features, context.subject_of(self.teacher).model
        learned = nn.Linear(500, 500)
        nn.init.eye_(learned.weight)

        def loss(seen: Seen) -> Tensor:
            ours, theirs = seen.features[name], seen.teacher_features[name]
            self.seen.append(list(ours.shape))
            return (learned(ours) - theirs).square().mean()

        return Objective(loss, (name,), teacher, (name,), learned)


def stack(*stages: Stage) -> Plan:
    return plan(stages=(plan().stages[0], *stages), metrics=(), budget=Budget())


def finetune(distill: Stage | None) -> Stage:
    return Stage("finetune", "training/finetune", trained_by(Finetune, **TRAINING), distill)


def result(whole: Plan, outputs: Path) -> dict[str, Tensor]:
    """Return the last stage's weights."""
    stage = run(whole, outputs, SilentProgress()).stages[-1]
    subject = packed_file.read(StageCache(outputs / "cache" / "stages").model_path(stage.stage_id))
    return subject.model.state_dict()


def test_a_finetuning_with_distill_is_the_distillation_with_that_training(tmp_path: Path) -> None:
    own = trained_by(KnowledgeDistillation, **TRAINING, teacher=Source("train"), temperature=2.0, weight=1.0)
    lent, plain = result(stack(finetune(KD)), tmp_path), result(stack(finetune(None)), tmp_path)
    itself = result(stack(Stage("finetune", "distillation/kd", own)), tmp_path)
    assert all(torch.equal(tensor, itself[name]) for name, tensor in lent.items())
    assert not all(torch.equal(tensor, plain[name]) for name, tensor in lent.items())


def quantized(kind: str, distill: Stage | None) -> Stage:
    """Return a stage that trains through functions of the weights."""
    training = TrainingConfig(**TRAINING)
    if kind == "inq":
        fields = (["linear"], [], 5, [0.5, 1.0], "largest", False, "largest", "max")
        return Stage("quantize", "quantization/inq", IncrementalQuantization(training, *fields), distill)
    own = QuantizationAwareInt8(training, ["linear"], [], "minmax", 0.999, 16, 1, 0.9)
    return Stage("quantize", "quantization/qat_int8", own, distill)


@pytest.mark.parametrize("kind", ["qat_int8", "inq"])
def test_features_are_found_in_layers_whose_weights_are_functions(tmp_path: Path, kind: str) -> None:
    following = Stage("distill", "tests/following", Following(Source("train"), ["fc1"]))
    whole = stack(quantized(kind, following))
    assert not dry_run(whole, tmp_path)[1]
    Following.seen.clear()
    lent, plain = result(whole, tmp_path), result(stack(quantized(kind, None)), tmp_path)
    assert Following.seen == 14 * [[16, 500]], "two epochs of seven steps"
    assert not all(torch.equal(tensor, plain[name]) for name, tensor in lent.items())


def test_a_dry_run_says_what_is_wrong_with_it_before_anything_is_trained(tmp_path: Path) -> None:
    def said(distill: Stage, technique: Technique | None = None) -> list[str]:
        stage = finetune(distill) if technique is None else Stage("own", "distillation/kd", technique, distill)
        return [str(fault) for fault in dry_run(stack(stage), tmp_path)[1]]

    nobody = Stage("distill", "distillation/kd", KnowledgeDistillation(Source("trian"), 2.0, 1.0))
    assert "there is no stage 'trian' before this one; did you mean 'train'?" in said(nobody)[0]
    (unknown,) = said(Stage("distill", "tests/following", Following(Source("train"), ["fc3"])))
    assert "features has 'fc3', which LeNet5 does not have" in unknown
    (twice,) = said(KD, replace(KD.technique, training=TrainingConfig(**TRAINING)))
    assert "brings an objective of its own" in twice
    alone = stack(Stage("alone", "distillation/kd", KD.technique))
    assert "training is null" in str(dry_run(alone, tmp_path)[1][0])


def test_the_packed_file_says_by_whom_it_was_taught(tmp_path: Path) -> None:
    whole = stack(finetune(KD))
    found = origin(whole, 1)["stages"]["finetune"]["distill"]
    assert found == {"technique": "distillation/kd", "teacher": {}, "temperature": 2.0, "weight": 1.0}
    assert "distill" not in origin(stack(finetune(None)), 1)["stages"]["finetune"]
