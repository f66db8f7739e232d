"""What it takes to measure a packed file: a dataset, measures and a device, from overrides and from what it notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from omegaconf import DictConfig

from compressbench.core.data import Dataset
from compressbench.core.faults import PlanError, suggestion
from compressbench.core.identity import essence
from compressbench.core.measurement import Measure
from compressbench.planning.build import build_dataset, build_measures, dataset_class
from compressbench.planning.catalogue import datasets
from compressbench.planning.compose import compose
from compressbench.planning.recipe import load_yaml
from compressbench.planning.settings import settings
from compressbench.planning.stages import group_file

KEYS = ("dataset", "device", "measures", "threads")
"""What may be overridden; all other keys are about running a recipe."""


@dataclass(frozen=True)
class Evaluation:
    """as_noted: whether the data is what the file was measured on, as far as the names and numbers of both say."""

    dataset: Dataset
    measures: tuple[tuple[str, Measure], ...]
    device: str
    threads: int | None
    as_noted: bool


def evaluation(overrides: Sequence[str], noted: object) -> Evaluation:
    """Return what is to be measured on what. PlanError, in words for people, for anything unusable.

    noted: what a file says of its dataset, which may be anything. It says which one unless `dataset=` does, and how it
    is read if it is that one, but for what is overridden.
    """
    for override in overrides:
        key = override.partition("=")[0].partition(".")[0].lstrip("+~")
        if key not in KEYS:
            raise PlanError.of(key, f"is not what an evaluation needs; {suggestion(key, KEYS)}")
    noted = noted if isinstance(noted, dict) else {}
    entry, chosen = _entry(noted.get("name")), any(override.startswith("dataset=") for override in overrides)
    if not entry and not chosen:
        what = (
            f"{repr(noted.get('name'))[:100]}, which the file was measured on, is none of them"
            if noted
            else "the file names none"
        )
        raise PlanError.of("dataset", f"{what}; add dataset=NAME (`compressbench list datasets` shows all)")
    config = compose([*([] if chosen else [f"dataset={entry}"]), *overrides])
    if config.chosen.dataset == entry:
        _take_over(config, noted, overrides)
    plain, dataset = settings(config), build_dataset(config)
    as_noted = {"name": dataset.name, **essence(dataset)} == noted
    return Evaluation(dataset, build_measures(config), plain.device, plain.threads, as_noted)


def _entry(name: object) -> str | None:
    """Return the entry of the catalogue for the dataset of this name, None if there is none."""
    for entry in datasets() if isinstance(name, str) else []:
        file = group_file("dataset", entry.name)
        if file and name in (entry.name, load_yaml(file).get("name")):
            return entry.name
    return None


def _take_over(config: DictConfig, noted: dict[Any, Any], overrides: Sequence[str]) -> None:
    """Set what the file notes of its dataset: only what is part of its identity, so no path and no download."""
    kind = dataset_class(config)
    own = {field.name for field in fields(kind) if field.metadata.get("identity", True)}
    given = {override.partition("=")[0].lstrip("+") for override in overrides}
    for key, value in noted.items():
        if key in own and f"dataset.{key}" not in given:
            config.dataset[key] = value
