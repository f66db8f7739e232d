"""Small teachers and students on digits, and batches made by hand."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from compressbench.core.objective import Seen
from compressbench.core.subject import Subject
from compressbench.core.training import TrainingConfig
from compressbench.techniques.distillation._features import Pair
from tests.techniques.lending import bare, seeded
from tests.techniques.quantization.learned import FIELDS, DigitsContext

TASK_LOSS = 8.0
EPOCH = TrainingConfig(**{**FIELDS, "epochs": 1})  # type: ignore[arg-type]


def network(width: int) -> Subject:
    """Return an untrained network of two convolutions for digits of 8 x 8, `width` and 2 `width` filters."""

    def layers() -> nn.Module:
        named = OrderedDict[str, nn.Module](
            conv1=nn.Conv2d(1, width, 3, padding=1),
            relu1=nn.ReLU(),
            pool=nn.MaxPool2d(2),
            conv2=nn.Conv2d(width, 2 * width, 3, padding=1),
            relu2=nn.ReLU(),
            flatten=nn.Flatten(),
            fc=nn.Linear(32 * width, 10),
        )
        return nn.Sequential(named)

    return bare(seeded(layers))


def after(subject: Subject, name: str, inputs: Tensor) -> Tensor:
    """Return what a layer of such a network gives."""
    with torch.no_grad():
        for other, layer in subject.model.named_children():
            inputs = layer(inputs)
            if other == name:
                break
    return inputs


def context(teacher: Subject | None = None) -> DigitsContext:
    """Return a context that trains for real and lends a teacher of eight filters."""
    lent = DigitsContext()
    lent.stages["teacher"] = teacher or network(8)
    return lent


def pair(ours: Tensor, theirs: Tensor, name: str = "a") -> Pair:
    return Pair(name, name, tuple(ours.shape[1:]), tuple(theirs.shape[1:]))


def seen(*features: tuple[Tensor, Tensor], outputs: tuple[Tensor, Tensor] | None = None, done: float = 0.0) -> Seen:
    """Return a batch of which student and teacher made these features, called a, b ...; the task's loss is 8."""
    ours = {name: own for name, (own, _) in zip("abcd", features, strict=False)}
    theirs = {name: other for name, (_, other) in zip("abcd", features, strict=False)}
    nothing = torch.zeros(1)
    student, teacher = outputs or (nothing, nothing)
    return Seen(nothing, nothing, student, lambda: torch.tensor(TASK_LOSS), ours, teacher, theirs, done)
