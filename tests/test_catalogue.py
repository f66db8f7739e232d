"""The files of the catalogue belong together: code, YAML and test; every YAML and every recipe can be used."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import ClassVar

import pytest
import yaml
from hydra._internal import config_loader_impl
from hydra._internal.config_repository import CachingConfigRepository
from hydra.plugins.config_source import ConfigResult

from compressbench.core.plan import Plan, Stage
from compressbench.core.training import TrainingConfig
from compressbench.planning import catalogue
from compressbench.planning.build import build
from compressbench.planning.compose import compose
from compressbench.planning.recipe import load_yaml

REPOSITORY = Path(__file__).parents[1]
TECHNIQUES = [entry.name for entry in catalogue.techniques()]
RECIPES = catalogue.recipe_files([REPOSITORY / "recipes"])
GROUPS = ("technique", "model", "dataset", "metric", "training", "tracking", "debug", "launcher")


class SharedRepository(CachingConfigRepository):
    """Reads each file of conf/ once for all tests of this module, which would spend a third of their time on it."""

    known: ClassVar[dict[str, ConfigResult | None]] = {}

    def load_config(self, config_path: str) -> ConfigResult | None:
        if config_path == "config" or config_path.startswith("recipe/"):
            return super().load_config(config_path)
        if config_path not in self.known:
            self.known[config_path] = self.delegate.load_config(config_path)
        return self.known[config_path]


@pytest.fixture(autouse=True)
def _files_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config_loader_impl, "CachingConfigRepository", SharedRepository)


def names(folder: str, pattern: str, prefix: str = "") -> set[str]:
    """Return `family/method` of the files below a folder, but those that start with `_`."""
    root = REPOSITORY / folder
    files = [file.relative_to(root) for file in root.rglob(pattern)]
    return {
        (file.parent / file.stem.removeprefix(prefix)).as_posix() for file in files if not file.name.startswith("_")
    }


def test_every_technique_has_a_yaml_of_its_name_and_the_other_way_round():
    assert names("compressbench/techniques", "*.py") == set(TECHNIQUES)


def test_every_technique_has_a_test_of_its_name():
    code = names("compressbench/techniques", "*.py")
    assert code - names("tests/techniques", "test_*.py", "test_") == set()


TESTED_TOGETHER = {"timm_models", "transformers_models"}
"""Doors to packages that need not be there: `tests/zoo/test_other_packages.py`."""


def test_every_metric_has_a_test_and_every_network_file_too():
    for folder in ("metrics", "zoo"):
        code = names(f"compressbench/{folder}", "*.py") - TESTED_TOGETHER
        assert code - names(f"tests/{folder}", "test_*.py", "test_") == set(), folder


@pytest.mark.parametrize("group", GROUPS)
def test_every_yaml_says_in_its_first_line_what_it_is(group):
    entries = catalogue.group(group)
    assert entries
    assert [entry.name for entry in entries if not entry.summary] == []


TRAINED = "{extends: train}"
OPEN = {
    "shared": "conv1",
    "teacher": "{stage: start}",
    "features": "[conv1, conv2]",
    "hint_training": TRAINED,
    "fsp_training": TRAINED,
}
OPEN |= {"paraphraser_training": TRAINED, "original": "{stage: start}"}
"""What techniques cannot do without (`???` in their YAML), in words of YAML."""

FITTING = {
    "gpt": "python_topics",
    "lstm_language_model": "python_topics",
    "lstm_classifier": "digits_rows",
    "mlp": "diabetes",
}
"""Networks that take no pictures, and a dataset for each."""


def planned(*overrides: str) -> Plan:
    """Return the plan of quickstart with changes; data may be missing and stages in no order."""
    plan, faults = build(compose(["recipe=quickstart", *overrides]), overrides)
    assert plan is not None, "\n".join(map(str, faults))
    return plan


def _open(name: str) -> str:
    """Return a technique with a value for each key that it leaves open."""
    left = [
        key for key, value in load_yaml(REPOSITORY / "conf" / "technique" / f"{name}.yaml").items() if value == "???"
    ]
    return ", ".join([name, *(f"{key}: {OPEN[key]}" for key in left)])


@pytest.fixture(scope="module")
def stages() -> dict[str, Stage]:
    """Every technique as a stage of one plan, by its name."""
    added = [f"+stages.number{number}={{technique: {_open(name)}}}" for number, name in enumerate(TECHNIQUES)]
    return dict(zip(TECHNIQUES, planned(*added).stages[-len(added) :], strict=True))


@pytest.mark.parametrize("name", TECHNIQUES)
def test_every_technique_can_be_built_and_its_yaml_holds_every_field(name, stages):
    stage = stages[name]
    assert stage.kind == name
    keys = set(load_yaml(REPOSITORY / "conf" / "technique" / f"{name}.yaml")) - {"_target_"}
    assert keys == {field.name for field in fields(stage.technique)}
    assert stage.technique.needs | stage.technique.adds | stage.technique.refuses <= stage.technique.TRAITS


@pytest.mark.parametrize("name", TECHNIQUES)
def test_every_training_refuses_weights_that_cannot_be_trained(name, stages):
    technique = stages[name].technique
    if isinstance(technique, TrainingConfig):
        assert technique.refuses & {"int8", "quantized", "trained"}, "int8 weights would not move"


@pytest.mark.parametrize("name", [entry.name for entry in catalogue.models()])
def test_every_model_can_be_built(name):
    dataset = FITTING.get(name, "digits")
    assert planned(f"model={name}", f"dataset={dataset}").model.name == name


OF_ANY_TASK = ("map_style", "huggingface")
"""Datasets whose task is the user's to say."""


@pytest.mark.parametrize("name", [entry.name for entry in catalogue.datasets() if entry.name not in OF_ANY_TASK])
def test_every_dataset_knows_its_task_without_its_files(name, tmp_path, monkeypatch):
    monkeypatch.setenv("COMPRESSBENCH_DATA", str(tmp_path))
    answers = {"name": "mine", "classes": 5, "image_size": 32}
    values = load_yaml(REPOSITORY / "conf/dataset" / f"{name}.yaml")
    asked = [key for key in answers if values.get(key, "known") in ("???", None)]
    model = next((model for model, dataset in FITTING.items() if dataset == name), "alexnet_bnd")
    words = (f"dataset.{key}={answers[key]}" for key in asked)
    dataset = planned(f"model={model}", f"dataset={name}", *words).dataset
    assert dataset.task.example() is not None
    assert dataset.task.arguments()
    assert dataset.name


def test_every_measure_can_be_built():
    names = [entry.name for entry in catalogue.metrics()]
    assert [name for name, _ in planned(f"metrics=[{','.join(names)}]").metrics] == names


@pytest.mark.parametrize(
    "override",
    [f"{group}={entry.name}" for group in ("training", "tracking", "debug") for entry in catalogue.group(group)],
)
def test_every_other_choice_composes(override):
    planned(override)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_has_no_fault_but_missing_data(name):
    overrides = [f"recipe={name}"]
    plan, faults = build(compose(overrides), overrides)
    assert [str(fault) for fault in faults if fault.where != "dataset"] == []
    assert plan is not None
    assert plan.protocol in ("steps_160", "reduced", "reduced_60", "reduced_mnist", "shootout_mnist", "custom", "")


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_short_and_says_what_it_is(name):
    lines = RECIPES[name].read_text().splitlines()
    assert 3 <= len(lines) <= 40
    assert lines[0].startswith("# ")
    assert len(lines[0]) > 20


def test_a_dotted_path_of_code_stands_in_exactly_one_yaml():
    targets = [
        tree["_target_"]
        for file in (REPOSITORY / "conf" / "technique").rglob("*.yaml")
        if "_target_" in (tree := yaml.safe_load(file.read_text()))
    ]
    assert len(targets) == len(set(targets)) == len(TECHNIQUES)
    assert [file for file in (REPOSITORY / "recipes").rglob("*.yaml") if "_target_" in file.read_text()] == []


@pytest.mark.parametrize("name", TECHNIQUES)
def test_every_technique_stands_in_a_recipe(name):
    assert any(f"technique: {name}" in file.read_text() for file in (REPOSITORY / "recipes").rglob("*.yaml"))
