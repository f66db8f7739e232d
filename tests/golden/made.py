"""Tiny runs of everything that makes results; each returns its version and its figures."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from torch import nn

from compressbench.core.architecture import Architecture
from compressbench.core.constraint import Mask
from compressbench.core.metric import EvaluationInput, Metric
from compressbench.core.plan import Limits
from compressbench.core.subject import Subject
from compressbench.core.training import LOOP_VERSION, TrainingConfig
from compressbench.data.synthetic import Synthetic
from compressbench.data.tasks.image_classification import ImageClassification
from compressbench.metrics.latency import Latency
from compressbench.packing import packed_file
from compressbench.planning import catalogue
from compressbench.training.loop import train
from tests.golden.datasets import KINDS as DATASETS
from tests.golden.datasets import of_dataset
from tests.golden.figures import Figures, of_model
from tests.techniques.lending import Silent, seeded
from tests.techniques.test_contract import KINDS as TECHNIQUES
from tests.techniques.test_contract import fields_of, make, untrained

Made = tuple[int, Figures]
CONF = Path(__file__).parents[2] / "conf"
TRAININGS: dict[str, dict[str, Any]] = {
    "sgd": {"optimizer": "sgd", "schedule": "one_cycle", "nesterov": True, "lr": 0.1, "select": "best"},
    "adam": {"optimizer": "adam", "schedule": "steps", "lr": 0.01, "loss": "squared_hinge"},
    "masked": {"optimizer": "sgd", "schedule": "cosine", "lr": 0.05, "loss": "hinge"},
}


def technique(kind: str, folder: Path) -> Made:
    """A technique, trained where it trains with the plain steps of its tests, on 16 made-up images."""
    subject = make(kind).subject
    promises = sorted(type(constraint).__name__ for constraint in subject.constraints)
    formats = {name: type(form).__name__ for name, form in sorted(subject.formats.items())}
    return fields_of(kind)[0].version, {**of_model(subject.model), "promises": promises, "formats": formats}


def dataset(kind: str, folder: Path) -> Made:
    """The first batches of a dataset's splits, read from tiny files."""
    found = DATASETS[kind](folder)
    return getattr(found, "version", 1), of_dataset(found)


def metric(name: str, folder: Path) -> Made:
    """What is measured on an untrained network with a mask. Of timings only the names."""
    node = OmegaConf.to_container(OmegaConf.load(CONF / "metric" / f"{name}.yaml"))
    assert isinstance(node, dict)
    module, _, class_name = str(node.pop("_target_")).rpartition(".")
    found: Metric = getattr(importlib.import_module(module), class_name)(**node)
    if isinstance(found, Latency):
        found = Latency(runtimes=["torch"], batches=[1], rounds=5, seconds=1, images=8)
    subject = untrained(whole=False).clone()
    weight = subject.model.get_parameter("conv3.weight")
    with torch.no_grad():
        weight.mul_(torch.arange(weight.numel()).view_as(weight) % 3 == 0)
    packed_file.write(subject, folder / "model.cbp")
    generator = torch.Generator().manual_seed(0)
    batch = torch.randn(64, 3, 32, 32, generator=generator), torch.randint(10, (64,), generator=generator)
    subject.model.eval()
    task = ImageClassification([3, 32, 32], 10)
    given = EvaluationInput(subject, task, task.example(), lambda: [batch], folder / "model.cbp", lambda: subject)
    measured = found.measure(given)
    timed = isinstance(found, Latency)
    figures = {one.name: one.spec.unit if timed else _number(one.value, one.spec.unit) for one in measured}
    return getattr(found, "version", 1), figures


def loop(kind: str, folder: Path) -> Made:
    """The training loop, in fp32 on made-up images."""
    subject = seeded(_network)
    if kind == "masked":
        keep = torch.arange(8 * 25).view(8, 1, 5, 5) % 4 > 0
        subject.constraints.append(Mask("conv.weight", keep))
        subject.enforce()
    made = Synthetic(name="made", shape=[1, 16, 16], classes=4, train_images=160, test_images=8)
    splits, task = made.load(), made.task
    training = TrainingConfig(epochs=3, batch_size=32, weight_decay=1e-3, precision="fp32", **TRAININGS[kind])
    trained = train(
        subject, training, splits.train, splits.validation, task=task, seed=1, limits=Limits(), progress=Silent()
    )  # dropout, batch norm and the order of the images all hang on the seed
    curve = [{key: value for key, value in epoch.items() if key != "seconds"} for epoch in trained.curve]
    return LOOP_VERSION, {**of_model(trained.subject.model), "curve": curve}


def _network() -> Subject:
    layers = {"conv": nn.Conv2d(1, 8, 5, stride=2), "bn": nn.BatchNorm2d(8), "relu": nn.ReLU(), "flat": nn.Flatten()}
    model = nn.Sequential()
    for name, layer in {**layers, "dropout": nn.Dropout(0.2), "fc": nn.Linear(8 * 36, 4)}.items():
        model.add_module(name, layer)
    return Subject(model, Architecture("compressbench.zoo.none"))


def _number(value: float, unit: str) -> float:
    return int(value) if unit in ("count", "bytes") else float(value)


MAKERS: dict[str, Callable[[Path], Made]] = {
    **{f"technique/{kind}": partial(technique, kind) for kind in TECHNIQUES},
    **{f"dataset/{kind}": partial(dataset, kind) for kind in DATASETS},
    **{f"metric/{entry.name}": partial(metric, entry.name) for entry in catalogue.metrics()},
    **{f"training/{kind}": partial(loop, kind) for kind in TRAININGS},
}
