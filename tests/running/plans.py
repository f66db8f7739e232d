"""Small real plans for the tests of the runner: a tiny AlexNet-like stack on synthetic images."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from compressbench.core.architecture import Architecture
from compressbench.core.model import Model
from compressbench.core.plan import Plan, Stage
from compressbench.data.synthetic import Synthetic
from compressbench.metrics.accuracy import Accuracy
from compressbench.metrics.macs import Macs
from compressbench.metrics.parameters import Parameters
from compressbench.metrics.size import Size
from compressbench.techniques.pruning.l1_norm import L1NormPruning
from compressbench.techniques.training.finetune import Finetune
from compressbench.techniques.training.from_scratch import FromScratch
from tests.techniques.lending import trained_by

LENET = Architecture("compressbench.zoo.lenet.LeNet5", {"in_channels": 1, "classes": 4, "image_size": 28})
TRAINING: dict[str, Any] = {
    "epochs": 2,
    "batch_size": 16,
    "lr": 0.05,
    "optimizer": "sgd",
    "schedule": "constant",
    "weight_decay": 0.0,
    "precision": "fp32",
}


def plan(**changes: Any) -> Plan:
    """Return train, prune, fine-tune of a LeNet-5 on 128 synthetic images, with changes."""
    stages = (
        Stage("train", "training/from_scratch", trained_by(FromScratch, **TRAINING)),
        Stage("prune", "pruning/l1_norm", L1NormPruning(targets=["conv"], ratio=0.5, ratios={}, ignore=[], round_to=1)),
        Stage("finetune", "training/finetune", trained_by(Finetune, **TRAINING)),
    )
    whole = Plan(
        recipe="tests/lenet",
        model=Model("lenet5", LENET),
        dataset=Synthetic(name="synthetic", shape=[1, 28, 28], classes=4, train_images=128, test_images=64),
        stages=stages,
        metrics=(("accuracy", Accuracy()), ("parameters", Parameters()), ("macs", Macs()), ("size", Size())),
        seed=0,
        protocol="custom",
    )
    return replace(whole, **changes)
