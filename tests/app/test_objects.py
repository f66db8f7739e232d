"""Stages as Python has them, as a recipe says them."""

from __future__ import annotations

from compressbench.app.objects import stages_node
from compressbench.core.source import Source
from compressbench.techniques.distillation.kd import KnowledgeDistillation


def test_a_distillation_may_be_a_technique_too() -> None:
    taught = KnowledgeDistillation(Source("train"), temperature=2.0, weight=0.5)
    found = stages_node([{"technique": "training/finetune", "distill": taught}])["finetune"]
    teacher = {"stage": "train", "recipe": "", "overrides": [], "file": ""}
    assert found["distill"] == {
        "technique": "distillation/kd",
        "teacher": teacher,
        "temperature": 2.0,
        "weight": 0.5,
    }
    said = {"technique": "training/finetune", "distill": {"teacher": {"stage": "train"}}}
    assert stages_node({"recover": said}) == {"recover": said}
