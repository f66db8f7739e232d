"""What it takes to measure a packed file: a dataset, metrics and a device, from overrides and from what it notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from omegaconf import DictConfig

from compressbench.core.data import Dataset, measured_on
from compressbench.core.errors import PlanError, suggestion
from compressbench.core.identity import essence
from compressbench.core.metric import Metric
from compressbench.core.task import Task
from compressbench.planning.build import build_dataset, dataset_class
from compressbench.planning.catalogue import datasets, group_file
from compressbench.planning.compose import compose
from compressbench.planning.metrics import build_metrics
from compressbench.planning.recipe import load_yaml
from compressbench.planning.settings import settings

KEYS = ("dataset", "device", "metrics", "threads")
"""What may be overridden; all other keys are about running a recipe."""


@dataclass(frozen=True)
class Evaluation:
    """What is measured, on what."""

    dataset: Dataset
    metrics: tuple[tuple[str, Metric], ...]
    device: str
    threads: int | None

    @property
    def task(self) -> Task:
        return self.dataset.task

    def as_noted(self, note: dict[str, Any]) -> bool:
        """Return whether the data is what the file with this note was measured on: the same test pictures, prepared in
        the same way. Files of older versions do not note that; then, whether all that is said of both is the same.

        PlanError if the data is not there.
        """
        if "measured_on" in note:
            return bool(measured_on(self.dataset, None) == note["measured_on"])
        return bool({"name": self.dataset.name, **essence(self.dataset)} == note.get("dataset"))


def evaluation(overrides: Sequence[str], noted: object) -> Evaluation:
    """Return what is to be measured on what. PlanError, in words for people, for anything unusable.

    noted: what a file says of its dataset, which may be anything. It says which one unless `dataset=` does, and how it
    is read if it is that one, or one of its kind in a folder of any name, but for what is overridden.
    """
    for override in overrides:
        key = override.partition("=")[0].partition(".")[0].lstrip("+~")
        if key not in KEYS:
            raise PlanError.of(key, f"is not what an evaluation needs; {suggestion(key, KEYS)}")
    noted = noted if isinstance(noted, dict) else {}
    entries, chosen = _entries(noted), any(override.startswith("dataset=") for override in overrides)
    if not entries and not chosen:
        what = (
            f"{repr(noted.get('name'))[:100]}, which the file was measured on, is none of them"
            if noted
            else "the file names none"
        )
        raise PlanError.of("dataset", f"{what}; add dataset=NAME (`compressbench list datasets` shows all)")
    config = compose([*([] if chosen else [f"dataset={entries[0]}"]), *overrides])
    if config.chosen.dataset in entries:
        _take_over(config, noted, overrides)
    plain, dataset = settings(config), build_dataset(config)
    return Evaluation(dataset, build_metrics(config), plain.device, plain.threads)


def _entries(noted: dict[Any, Any]) -> list[str]:
    """Return the entries of the catalogue that are what is noted: the one of this name, then those for any folder of
    pictures, which leave open what is noted here."""
    named, templates = [], []
    for entry in datasets():
        file = group_file("dataset", entry.name)
        content = load_yaml(file) if file else {}
        if isinstance(noted.get("name"), str) and noted["name"] in (entry.name, content.get("name")):
            named.append(entry.name)
        left_open = {key for key, value in content.items() if value == "???"}
        if left_open and left_open <= noted.keys() <= content.keys():
            templates.append(entry.name)
    return [*named, *templates]


def _take_over(config: DictConfig, noted: dict[Any, Any], overrides: Sequence[str]) -> None:
    """Set what the file notes of its dataset: only what is part of its identity, so no path and no download."""
    kind = dataset_class(config)
    own = {field.name for field in fields(kind) if field.metadata.get("identity", True)}
    given = {override.partition("=")[0].lstrip("+") for override in overrides}
    for key, value in noted.items():
        if key in own and f"dataset.{key}" not in given:
            config.dataset[key] = value
