"""`debug=smoke`: any recipe in seconds, without its data or its weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from omegaconf import DictConfig

from compressbench.core.data import Dataset
from compressbench.core.plan import Limits
from compressbench.core.task import tensors
from compressbench.planning.schema import located

LARGE = 3 * 64 * 64
"""Examples of more values count as large."""
MADE_UP = "compressbench.data.made_up.MadeUp"


def is_smoke(config: DictConfig) -> bool:
    debug = config.get("debug")
    return isinstance(debug, DictConfig) and debug.get("name") == "smoke"


def smoke_dataset(config: DictConfig, dataset: Dataset) -> Dataset:
    """Return made-up examples of the same task."""
    large = sum(each.numel() for each in tensors(dataset.task.example())) > LARGE
    examples = int(config.debug.examples_large if large else config.debug.examples)
    made: Dataset = located(MADE_UP, "compressbench.data.", "dataset")(dataset.task, examples)
    return made


def smoke_limits(config: DictConfig, limits: Limits) -> Limits:
    """Return the limits of conf/debug/smoke.yaml where none are given."""
    given: dict[str, Any] = {key: value for key, value in vars(limits).items() if value is not None}
    return replace(Limits(epochs=config.debug.epochs, steps=config.debug.steps), **given)
