"""What every technique of the catalogue owes to the runner."""

import dataclasses
import importlib
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.core.training import Training
from compressbench.packing.packed_file import read, write
from tests.techniques.lending import ALEXNET, BND, LentContext, subject_of

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
}
"""Values for fields whose YAML leaves them open (`???`) or takes them from elsewhere (`${...}`)."""


def fields_of(kind: str) -> tuple[type[Technique], dict[str, object]]:
    node = OmegaConf.to_container(OmegaConf.load(CATALOGUE / f"{kind}.yaml"), resolve=False)
    assert isinstance(node, dict)
    module, _, name = node.pop("_target_").rpartition(".")
    for key, value in node.items():
        if isinstance(value, str) and (value == "???" or value.startswith("${")):
            assert key in NEEDED, f"{kind} leaves {key} open; give it a value in NEEDED"
            node[key] = NEEDED[key]
    return getattr(importlib.import_module(module), name), node


def build(kind: str) -> Technique:
    technique, fields = fields_of(kind)
    return technique(**fields)


BEFORE = {"sharing/retrain_centroids": "sharing/kmeans"}
"""What a technique that works on another one's result comes after."""


def result(kind: str, seed: int = 0) -> tuple[Subject, LentContext]:
    context = LentContext(seed=seed)
    context.stages["start"] = subject_of(ALEXNET, **BND)
    subject = subject_of(ALEXNET, **BND)
    if kind in BEFORE:
        subject = build(BEFORE[kind]).apply(subject, context)
    return build(kind).apply(subject, context), context


def assert_same_weights(first: Subject, second: Subject) -> None:
    ours, theirs = first.model.state_dict(), second.model.state_dict()
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name


def test_the_catalogue_is_there():
    assert "pruning/l1_norm" in KINDS


@pytest.mark.parametrize("kind", KINDS)
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
        assert_same_weights(result(kind)[0], result(kind)[0])

    def test_the_global_random_state_is_left_alone(self, kind):
        torch.manual_seed(7)
        before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
        result(kind)
        assert torch.equal(torch.get_rng_state(), before[0])
        assert np.array_equal(np.random.get_state()[1], before[1])
        assert random.getstate() == before[2]

    def test_its_constraints_hold_at_once_and_after_training(self, kind):
        subject, context = result(kind)
        assert all(constraint.holds(subject.model) for constraint in subject.constraints)
        subject = context.train(subject, Training(**NEEDED))
        assert all(constraint.holds(subject.model) for constraint in subject.constraints)

    def test_its_formats_name_tensors_of_the_network(self, kind):
        subject, _ = result(kind)
        assert subject.formats.keys() <= subject.model.state_dict().keys()

    def test_the_packed_file_decodes_to_the_same_weights_bit_for_bit(self, kind, tmp_path):
        subject, context = result(kind)
        write(subject, tmp_path / "model.cbp")
        decoded = read(tmp_path / "model.cbp")
        assert_same_weights(decoded, subject)
        with torch.no_grad():
            assert torch.equal(decoded.model.eval()(context.images), subject.model.eval()(context.images))

    def test_what_it_leaves_can_be_trained(self, kind):
        subject, _ = result(kind)
        assert all(parameter.requires_grad and parameter.is_leaf for parameter in subject.model.parameters())

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
