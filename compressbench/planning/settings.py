"""The plain keys of a configuration: which there are, and what they may be. Needs no torch."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, fields, replace
from pathlib import Path

from omegaconf import DictConfig

from compressbench.core.errors import Fault, PlanError, suggestion
from compressbench.core.training import TrainingConfig
from compressbench.planning.recipe import GROUPS, NODES, SWEEP
from compressbench.planning.schema import resolved, typed

ALLOWED = ("recipe", "seed", "outputs", "cache", "device", "threads", "metrics", *NODES, *GROUPS, SWEEP)
LONGEST_PATH, LONGEST_NAME = 3_500, 255
"""Bytes of the path of the outputs: most systems take 4,096 with what lies below, and 255 for a name."""
CHOSEN = "chosen"
"""What planning itself adds: the chosen names of the groups."""


@dataclass(frozen=True)
class Tracking:
    """What conf/tracking holds: whether, where to, and how patiently."""

    enabled: bool
    uri: str | None
    timeout_s: float
    retries: int
    deadline_s: float


@dataclass(frozen=True)
class Debug:
    """What conf/debug holds: its name, and how little is enough."""

    name: str
    epochs: int | None = None
    steps: int | None = None
    examples: int | None = None
    examples_large: int | None = None


@dataclass(frozen=True)
class Settings:
    """How a run is carried out. seed: 0 or more. threads: None: as torch chooses. cache: the URI of a shared one."""

    seed: int
    outputs: str
    device: str
    threads: int | None
    tracking: Tracking
    debug: Debug
    cache: str | None = None

    @property
    def folder(self) -> Path:
        """The folder `outputs`, absolute."""
        return Path(self.outputs).expanduser().absolute()

    def faults(self) -> list[Fault]:
        """Return every value outside its range."""
        found = []
        if self.seed < 0:
            found.append(Fault("seed", f"is {self.seed}; allowed: 0 or more"))
        if not self.outputs:
            found.append(Fault("outputs", "is ''; allowed: a folder"))
        length, longest = len(os.fsencode(self.folder)), max(len(os.fsencode(part)) for part in self.folder.parts)
        if length > LONGEST_PATH or longest > LONGEST_NAME:
            allowed = f"{LONGEST_PATH:,}, and {LONGEST_NAME} for each folder's name"
            found.append(Fault("outputs", f"is a path of {length:,} bytes, a name of {longest:,}; allowed: {allowed}"))
        if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", self.device):
            found.append(Fault("device", f"is {self.device!r}; allowed: auto, cpu, mps, cuda, cuda:1"))
        if self.threads is not None and self.threads < 1:
            found.append(Fault("threads", f"is {self.threads}; allowed: 1 or more, or null"))
        return found


@dataclass(frozen=True)
class OfPlainNetworks:
    """What a schedule says of networks without batch norm."""

    lr: float


@dataclass(frozen=True)
class AfterSlimming:
    """In what the fine-tuning after network slimming is another one."""

    epochs: int
    lr: float
    schedule: str


@dataclass(frozen=True)
class Schedules:
    """What conf/training holds: the name of the protocol, and how to train and to fine-tune.

    hold_out: whether training images are held out for validation, as many as the dataset says. init: the weights that
    networks start from. train_plain: for networks without batch norm. finetune_slimming: after network slimming.
    """

    protocol: str
    hold_out: bool
    init: str
    train: TrainingConfig
    train_plain: OfPlainNetworks
    finetune: TrainingConfig
    finetune_slimming: AfterSlimming

    def __post_init__(self) -> None:
        _ = self.trainings  # ValueError for what is out of range

    @property
    def trainings(self) -> tuple[TrainingConfig, ...]:
        """Every way to train that keeps to this schedule; learning rates of networks aside."""
        return self.train, self.finetune, replace(self.finetune, **vars(self.finetune_slimming))


def settings(config: DictConfig) -> Settings:
    """Return the plain keys of a configuration, typed. PlanError with everything that is wrong with them."""
    plain = {field.name: config._get_node(field.name) for field in fields(Settings) if field.name in config}
    part = DictConfig(plain)
    part._set_parent(config)  # interpolations are still resolved against the whole
    try:
        made: Settings = typed(Settings, resolved(part, ""), "")
        faults = made.faults()
    except PlanError as error:
        faults = [Fault(fault.where.removeprefix("."), fault.what) for fault in error.faults]
    if faults:
        raise PlanError(faults)
    return made


def key_faults(config: DictConfig) -> list[Fault]:
    """Return what is wrong with the names of the top keys, and with nodes that are no mappings."""
    faults = []
    for key in config:
        if key not in (*ALLOWED, CHOSEN):
            faults.append(Fault(str(key), f"there is no such key; {suggestion(str(key), ALLOWED)}"))
    if config.get("recipe") is None:
        faults.append(Fault("recipe", "none is named; e.g. recipe=quickstart (`compressbench list recipes` shows all)"))
    for key in NODES:
        if not isinstance(config.get(key), DictConfig):
            faults.append(Fault(key, f"is {config.get(key)!r}; allowed: a mapping"))
    return faults
