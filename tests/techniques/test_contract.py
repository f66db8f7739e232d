"""What every technique of the catalogue owes to the runner."""

import dataclasses
import functools
import importlib
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from torch import nn

from compressbench.core.architecture import Architecture
from compressbench.core.source import Source
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.data.tasks.language_modelling import LanguageModelling
from compressbench.testing.made_up import MadeUpContext
from compressbench.testing.technique import (
    Applied,
    apply,
    check_constraints,
    check_declaration,
    check_packed,
    check_random_state,
    check_ranges,
    check_same,
    check_trainable,
)
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
OPEN = {
    "training": NEEDED,
    "init": "torch",
    "teacher": Source("start"),
    "shared": "relu4",
    "original": Source("start"),
    "features": ["conv4", "conv5"],
}
OPEN |= dict.fromkeys(("hint_training", "fsp_training", "paraphraser_training"), TrainingConfig(**NEEDED))
"""Values for all fields whose YAML leaves them open (`???`) or takes them from elsewhere."""
QUICK = {"examples": 64, "block_columns": 8}
"""Values for fields whose larger ones only take longer."""

LESS: dict[str, dict[str, object]] = {"quantization/adaround": {"iterations": 20, "places": 256}}
"""Smaller numbers than those of the YAML, where these take seconds."""


def fields_of(kind: str) -> tuple[type[Technique], dict[str, object]]:
    node = OmegaConf.to_container(OmegaConf.load(CATALOGUE / f"{kind}.yaml"), resolve=False)
    assert isinstance(node, dict)
    module, _, name = node.pop("_target_").rpartition(".")
    for key, value in node.items():
        if isinstance(value, str) and (value == "???" or value.startswith("${")):
            assert key in OPEN, f"{kind} leaves {key} open; give it a value in OPEN"
            node[key] = OPEN[key]
    node |= {key: value for key, value in QUICK.items() if key in node}
    node |= LESS.get(kind, {})
    if "training" in node:
        own = {key: value for key, value in node["training"].items() if key != "extends"}
        node["training"] = TrainingConfig(**{**NEEDED, **own})
    return getattr(importlib.import_module(module), name), node


def build(kind: str) -> Technique:
    technique, fields = fields_of(kind)
    return technique(**fields)


BEFORE = {
    "sharing/retrain_centroids": "sharing/kmeans",
    "quantization/bias_correction": "quantization/round_to_nearest",
}
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


@functools.cache
def transformer() -> Subject:
    """Return an untrained GPT of 16 characters, for copying."""
    arguments = {"vocabulary": 16, "context": 8, "width": 16, "depth": 2, "heads": 4}
    architecture = Architecture("compressbench.zoo.gpt.GPT", arguments)
    return Subject(seeded(architecture.build), architecture)


ATTENDING = {"pruning/heads", "quantization/smoothquant"}
"""What works on attention or layer norms alone."""


def lent(kind: str) -> MadeUpContext:
    """Return a context with examples of what the network of a technique's tests is for."""
    return MadeUpContext(LanguageModelling(16, 8)) if kind in ATTENDING else StageContext()


def make(kind: str) -> Applied:
    before = [build(BEFORE[kind])] if kind in BEFORE else []
    given = transformer() if kind in ATTENDING else untrained(whole=kind in WHOLE)
    return apply(build(kind), given, lent(kind).task, before)


made = functools.lru_cache(maxsize=1)(make)
"""Made once for all tests of a technique, which stand together; they change a copy only."""


def test_the_catalogue_is_there():
    assert "pruning/l1_norm" in KINDS


@pytest.mark.parametrize("kind", KINDS, scope="class")  # all tests of a technique in a row
class TestEveryTechnique:
    def test_it_is_a_frozen_dataclass_whose_yaml_holds_every_field(self, kind):
        technique, fields = fields_of(kind)
        assert set(fields) == {field.name for field in dataclasses.fields(technique)}
        with pytest.raises(dataclasses.FrozenInstanceError):
            build(kind).invented = 1

    def test_its_file_class_and_yaml_share_a_name(self, kind):
        technique, _ = fields_of(kind)
        assert technique.__module__ == "compressbench.techniques." + kind.replace("/", ".")

    def test_it_says_what_it_needs_adds_and_refuses(self, kind):
        check_declaration(build(kind))

    def test_the_same_seed_gives_the_same_result(self, kind):
        check_same(made(kind).subject, make(kind).subject)

    def test_the_global_random_state_is_left_alone(self, kind):
        check_random_state(made(kind))

    def test_its_constraints_hold_at_once_and_after_training(self, kind):
        check_constraints(made(kind).subject, lent(kind))

    def test_the_packed_file_decodes_to_the_same_network_bit_for_bit(self, kind):
        check_packed(made(kind).subject, lent(kind))

    def test_what_it_leaves_can_be_trained(self, kind):
        check_trainable(made(kind).subject)

    def test_numbers_out_of_range_are_refused_with_their_key(self, kind):
        check_ranges(build(kind))
