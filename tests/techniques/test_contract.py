"""What every technique of the catalogue owes to the runner."""

import dataclasses
import functools
import importlib
import random
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from compressbench.core.source import Source
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.packing.packed_file import read, write
from tests.techniques.lending import ALEXNET, BND, StageContext, seeded, subject_of

CATALOGUE = Path(__file__).parents[2] / "conf" / "technique"
KINDS = sorted(path.relative_to(CATALOGUE).with_suffix("").as_posix() for path in CATALOGUE.rglob("*.yaml"))
NEEDED = {
    "epochs": 1,
    "batch_size": 8,
    "lr": 0.01,
    "optimizer": "sgd",
    "schedule": "constant",
    "weight_decay": 0.0,
    "momentum": 0.9,
    "nesterov": False,
    "milestones": [0.5],
    "gamma": 0.1,
    "precision": "fp32",
    "select": "last",
    "loss": "cross_entropy",
    "final_lr": 0.0,
}
"""The training that YAML takes from elsewhere (`${training.finetune}`, `{extends: train}`)."""
OPEN = {"training": NEEDED, "init": "torch", "teacher": Source("start")}
"""Values for all fields whose YAML leaves them open (`???`) or takes them from elsewhere."""


def fields_of(kind: str) -> tuple[type[Technique], dict[str, object]]:
    node = OmegaConf.to_container(OmegaConf.load(CATALOGUE / f"{kind}.yaml"), resolve=False)
    assert isinstance(node, dict)
    module, _, name = node.pop("_target_").rpartition(".")
    for key, value in node.items():
        if isinstance(value, str) and (value == "???" or value.startswith("${")):
            assert key in OPEN, f"{kind} leaves {key} open; give it a value in OPEN"
            node[key] = OPEN[key]
    if "training" in node:
        own = {key: value for key, value in node["training"].items() if key != "extends"}
        node["training"] = TrainingConfig(**{**NEEDED, **own})
    return getattr(importlib.import_module(module), name), node


def build(kind: str) -> Technique:
    technique, fields = fields_of(kind)
    return technique(**fields)


BEFORE = {"sharing/retrain_centroids": "sharing/kmeans"}
"""What a technique that works on another one's result comes after."""


WHOLE = {"quantization/bnn", "quantization/xnor"}
"""What moves layers about, and only in a network that nothing has changed."""


def quarter(channels: int) -> int:
    return channels // 4 if channels > 10 else channels  # not those of the images, and not the classes


def narrow(module: nn.Module) -> nn.Module:
    """Return an untrained layer like `module` with a quarter of its channels."""
    if isinstance(module, nn.Conv2d):
        shape = (quarter(module.in_channels), quarter(module.out_channels), module.kernel_size)
        return nn.Conv2d(*shape, stride=module.stride, padding=module.padding)
    if isinstance(module, nn.Linear):
        return nn.Linear(quarter(module.in_features), quarter(module.out_features))
    return nn.BatchNorm2d(quarter(module.num_features)) if isinstance(module, nn.BatchNorm2d) else module


@functools.cache
def untrained(whole: bool) -> Subject:
    """Return a BND AlexNet, or one as small as if three quarters of its filters had been removed; for copying."""
    subject = subject_of(ALEXNET, **BND)
    if whole:
        return subject
    layers = seeded(lambda: {name: narrow(module) for name, module in subject.model.named_children()})
    for name, module in layers.items():
        setattr(subject.model, name, module)
    return subject


def random_states() -> tuple[bytes, ...]:
    """Return the states of every global generator."""
    return torch.get_rng_state().numpy().tobytes(), np.random.get_state()[1].tobytes(), repr(random.getstate()).encode()


class Made(NamedTuple):
    """What a technique makes of `untrained`, and the global random states before and after."""

    subject: Subject
    before: tuple[bytes, ...]
    after: tuple[bytes, ...]


def make(kind: str) -> Made:
    context, subject = StageContext(), untrained(whole=kind in WHOLE).clone()
    context.stages["start"] = subject.clone()
    if kind in BEFORE:
        subject = build(BEFORE[kind]).apply(subject, context)
    torch.manual_seed(7)
    before = random_states()
    return Made(build(kind).apply(subject, context), before, random_states())


made = functools.lru_cache(maxsize=1)(make)
"""Made once for all tests of a technique, which stand together; they change a copy only."""


def assert_same_weights(first: Subject, second: Subject) -> None:
    ours, theirs = first.model.state_dict(), second.model.state_dict()
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name


def test_the_catalogue_is_there():
    assert "pruning/l1_norm" in KINDS


@pytest.mark.parametrize("kind", KINDS, scope="class")  # all tests of a technique in a row
class TestEveryTechnique:
    def test_it_is_a_frozen_dataclass_whose_yaml_holds_every_field(self, kind):
        technique, fields = fields_of(kind)
        assert issubclass(technique, Technique)
        assert dataclasses.is_dataclass(technique)
        assert set(fields) == {field.name for field in dataclasses.fields(technique)}
        with pytest.raises(dataclasses.FrozenInstanceError):
            build(kind).invented = 1

    def test_its_file_class_and_yaml_share_a_name(self, kind):
        technique, _ = fields_of(kind)
        assert technique.__module__ == "compressbench.techniques." + kind.replace("/", ".")

    def test_its_traits_are_known(self, kind):
        technique, _ = fields_of(kind)
        assert technique.needs | technique.adds | technique.refuses <= Technique.TRAITS
        assert technique.adds, "a technique that adds nothing does nothing"

    def test_the_same_seed_gives_the_same_result(self, kind):
        assert_same_weights(made(kind).subject, make(kind).subject)

    def test_the_global_random_state_is_left_alone(self, kind):
        assert made(kind).after == made(kind).before

    def test_its_constraints_hold_at_once_and_after_training(self, kind):
        subject = made(kind).subject.clone()
        assert all(constraint.holds(subject.model) for constraint in subject.constraints)
        subject = StageContext().train(subject, TrainingConfig(**NEEDED))
        assert all(constraint.holds(subject.model) for constraint in subject.constraints)

    def test_its_formats_name_tensors_of_the_network(self, kind):
        subject = made(kind).subject
        assert subject.formats.keys() <= subject.model.state_dict().keys()

    def test_the_packed_file_decodes_to_the_same_weights_bit_for_bit(self, kind, tmp_path):
        subject, images = made(kind).subject.clone(), StageContext().images
        write(subject, tmp_path / "model.cbp")
        decoded = read(tmp_path / "model.cbp")
        assert_same_weights(decoded, subject)
        with torch.no_grad():
            assert torch.equal(decoded.model.eval()(images), subject.model.eval()(images))

    def test_what_it_leaves_can_be_trained(self, kind):
        parameters = list(made(kind).subject.model.parameters())
        assert all(parameter.requires_grad and parameter.is_leaf for parameter in parameters)

    def test_numbers_out_of_range_are_refused_with_their_key(self, kind):
        technique, fields = fields_of(kind)
        for key, value in fields.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                with pytest.raises(ValueError, match=rf"\b{key}\b"):
                    technique(**{**fields, key: -1})
        if "ratio" in fields:
            for value in (1.0, 1.5, float("nan")):
                with pytest.raises(ValueError, match="ratio is"):
                    technique(**{**fields, "ratio": value})
