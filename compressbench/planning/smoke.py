"""`debug=smoke`: any recipe in seconds, without its data or its weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from omegaconf import DictConfig

from compressbench.core.data import Dataset
from compressbench.core.plan import Limits
from compressbench.planning.catalogue import group_file
from compressbench.planning.recipe import load_yaml
from compressbench.planning.schema import located, typed
from compressbench.planning.stages import TARGET

LARGE = 64
"""Images with a longer side count as large."""


def is_smoke(config: DictConfig) -> bool:
    debug = config.get("debug")
    return isinstance(debug, DictConfig) and debug.get("name") == "smoke"


def smoke_dataset(config: DictConfig, dataset: Dataset) -> Dataset:
    """Return made-up images of the same shape and classes."""
    file = group_file("dataset", "synthetic")
    assert file is not None
    values = load_yaml(file)
    target = located(values.pop(TARGET), "compressbench.data.", "dataset")
    images = _images(config, dataset)
    values |= {"shape": list(dataset.input_shape), "classes": dataset.classes}
    values |= {"train_images": images, "test_images": images}
    made: Dataset = typed(target, values, "dataset")
    return made


def smoke_limits(config: DictConfig, limits: Limits) -> Limits:
    """Return the limits of conf/debug/smoke.yaml where none are given."""
    given: dict[str, Any] = {key: value for key, value in vars(limits).items() if value is not None}
    return replace(Limits(epochs=config.debug.epochs, steps=config.debug.steps), **given)


def _images(config: DictConfig, dataset: Dataset) -> int:
    large = max(dataset.input_shape[1:]) > LARGE
    return int(config.debug.images_large if large else config.debug.images)
