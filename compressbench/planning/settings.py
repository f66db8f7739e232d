"""The plain keys of a configuration: which there are, and what they may be. Needs no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass

from omegaconf import DictConfig

from compressbench.core.faults import Fault, suggestion
from compressbench.core.training import Training
from compressbench.planning.catalogue import conf_folder
from compressbench.planning.recipe import GROUPS, load_yaml
from compressbench.planning.typed import NodeError, resolved, typed

NODES = ("stages", "measures", "budget", "reference", "limits")
ALLOWED = ("recipe", "seed", "outputs", "device", "threads", *NODES, *GROUPS)
CHOSEN = "chosen"
"""What planning itself adds: the chosen names of the groups."""


@dataclass(frozen=True)
class Settings:
    """How a run is carried out. seed: 0 or more. threads: None leaves the choice to torch."""

    seed: int
    outputs: str
    device: str
    threads: int | None

    def faults(self) -> list[Fault]:
        """Return every value outside its range."""
        found = []
        if self.seed < 0:
            found.append(Fault("seed", f"is {self.seed}; allowed: 0 or more"))
        if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", self.device):
            found.append(Fault("device", f"is {self.device!r}; allowed: auto, cpu, mps, cuda, cuda:1"))
        if self.threads is not None and self.threads < 1:
            found.append(Fault("threads", f"is {self.threads}; allowed: 1 or more, or null"))
        return found


@dataclass(frozen=True)
class Schedules:
    """What conf/training holds: the name of the protocol, and how to train and to fine-tune."""

    protocol: str
    train: Training
    finetune: Training


def settings_faults(config: DictConfig) -> list[Fault]:
    """Return what is wrong with the names of all keys and with the values of the plain ones."""
    faults = []
    for key in config:
        if key not in (*ALLOWED, CHOSEN):
            faults.append(Fault(str(key), f"there is no such key; {suggestion(str(key), ALLOWED)}"))
    if config.get("recipe") is None:
        faults.append(Fault("recipe", "none is named; e.g. recipe=quickstart (`compressbench list recipes` shows all)"))
    for key in ("stages", "budget", "reference", "limits"):
        if not isinstance(config.get(key), DictConfig):
            faults.append(Fault(key, f"is {config.get(key)!r}; allowed: a mapping"))
    for group in ("tracking", "debug"):
        faults += _unknown_keys(config, group)
    try:
        plain = [key for key in Settings.__dataclass_fields__ if key in config]
        settings: Settings = typed(Settings, resolved(_part(config, plain), ""), "")
        faults += settings.faults()
    except NodeError as error:
        faults += [Fault(fault.where.removeprefix("."), fault.what) for fault in error.faults]
    return faults


def _part(config: DictConfig, keys: list[str]) -> DictConfig:
    """Return some keys of a configuration, their interpolations still resolved against the whole."""
    part = DictConfig({key: config._get_node(key) for key in keys})
    part._set_parent(config)
    return part


def _unknown_keys(config: DictConfig, group: str) -> list[Fault]:
    node = config.get(group)
    if not isinstance(node, DictConfig):
        return []
    known = {key for file in (conf_folder() / group).glob("*.yaml") for key in load_yaml(file)}
    unknown = [str(key) for key in node if key not in known]
    return [Fault(f"{group}.{key}", f"there is no such key; {suggestion(key, known)}") for key in unknown]
