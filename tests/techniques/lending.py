"""Subjects, and what a runner lends to a technique, on made-up images."""

from __future__ import annotations

from dataclasses import fields
from typing import TypeVar

from torch import nn

from compressbench.core.architecture import Architecture
from compressbench.core.subject import Subject
from compressbench.core.training import TrainingConfig
from compressbench.data.tasks.image_classification import ImageClassification
from compressbench.testing.made_up import MadeUpContext, Silent, seeded

__all__ = ["Silent", "StageContext", "bare", "seeded", "subject_of", "trained_by"]

Made = TypeVar("Made")

ALEXNET = "compressbench.zoo.alexnet.AlexNet"
PLAIN = {"batch_norm": False, "dropout": 0.0, "conv_bias": True, "hidden": [512, 512]}
BND = {"batch_norm": True, "dropout": 0.5, "conv_bias": True, "hidden": [512, 512]}
SLIMMING = {"batch_norm": True, "dropout": 0.0, "conv_bias": False, "hidden": []}

OF_A_TRAINING = {field.name for field in fields(TrainingConfig)}


def subject_of(target: str, in_channels: int = 3, classes: int = 10, **arguments: object) -> Subject:
    """Return a subject with always the same weights; the global random state is left alone."""
    architecture = Architecture(target, {"in_channels": in_channels, "classes": classes, **arguments})
    return seeded(lambda: Subject(architecture.build(), architecture))


def bare(model: nn.Module) -> Subject:
    """Return a subject around a network that no catalogue knows."""
    return Subject(model, Architecture("compressbench.zoo.none"))


def trained_by(technique: type[Made], **fields: object) -> Made:
    """Return a technique, those of the fields that are a training's put together."""
    own = {name: fields.pop(name) for name in OF_A_TRAINING & fields.keys()}
    return technique(training=TrainingConfig(**own), **fields)  # type: ignore[call-arg, arg-type]


class StageContext(MadeUpContext):
    """A context without a runner, for made-up images."""

    def __init__(self, channels: int = 3, side: int = 32, classes: int = 10, seed: int = 0):
        super().__init__(ImageClassification([channels, side, side], classes), seed)
        self.images, self.labels = self.inputs, self.targets
