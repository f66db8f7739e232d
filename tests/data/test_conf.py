"""conf/dataset: every file builds its dataset, holds exactly its fields, and is found without torch."""

import dataclasses
import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

CONF = Path(__file__).parents[2] / "conf" / "dataset"
FILES = sorted(file.stem for file in CONF.glob("*.yaml"))
REQUIRED = {"image_folder": {"name": "mine", "classes": 2, "image_size": 32}}


def read(name):
    node = OmegaConf.load(CONF / f"{name}.yaml")
    module, _, cls = node.pop("_target_").rpartition(".")
    return getattr(importlib.import_module(module), cls), node


def build(name):
    dataset_class, node = read(name)
    merged = OmegaConf.merge(OmegaConf.structured(dataset_class), node, REQUIRED.get(name, {}))
    return OmegaConf.to_object(merged), node


@pytest.mark.parametrize("name", FILES)
def test_a_file_holds_every_field_of_its_dataset(name):
    dataset_class, node = read(name)
    assert set(node) == {field.name for field in dataclasses.fields(dataset_class)}
    declared = {each.name for each in dataclasses.fields(dataset_class) if each.default is not each.default_factory}
    assert declared <= {"calibration_share"}, (
        "a default in the class is for what was added after identities were stored"
    )


@pytest.mark.parametrize(
    ("name", "shape", "classes"),
    [
        ("digits", (1, 32, 32), 10),
        ("mnist", (1, 32, 32), 10),
        ("cifar10", (3, 32, 32), 10),
        ("cifar100", (3, 32, 32), 100),
        ("cifar10_jpeg", (3, 32, 32), 10),
        ("imagenet", (3, 224, 224), 1000),
        ("image_folder", (3, 32, 32), 2),
        ("synthetic", (3, 32, 32), 10),
    ],
)
def test_shape_and_classes_are_known_without_data(name, shape, classes):
    dataset, _ = build(name)
    assert (tuple(dataset.task.shape), dataset.task.classes) == (shape, classes)
    assert set(FILES) >= {name}


def test_no_dataset_imports_torch_before_it_is_loaded():
    names = ["digits", "digits_rows", "diabetes", "python_topics", "mnist", "cifar", "image_folder", "synthetic"]
    modules = ", ".join(f"compressbench.data.{name}" for name in names)
    code = f"import sys, {modules}; print({{'torch', 'numpy', 'PIL', 'sklearn'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
