"""The model node of a configuration becomes a Model."""

from __future__ import annotations

import dataclasses
from typing import Any

from omegaconf import DictConfig

from compressbench.core.architecture import ALLOWED, Architecture
from compressbench.core.data import Dataset
from compressbench.core.errors import PlanError
from compressbench.core.plan import Model
from compressbench.planning.schema import located, resolved, schema_of, typed
from compressbench.planning.stages import TARGET


def build_model(config: DictConfig, dataset: Dataset | None) -> Model:
    """Return the network with the dataset's channels and classes filled in, unless the model says its own.

    Without a dataset the arguments are checked all the same. Raises PlanError.
    """
    if not isinstance(config.get("model"), DictConfig):
        raise PlanError.of("model", "none is named; e.g. `model: alexnet` (`compressbench list models` shows all)")
    values = resolved(config.model, "model")
    target = str(values.pop(TARGET, ""))
    builder = located(target, ALLOWED, "model")
    channels, classes = (dataset.input_shape[0], dataset.classes) if dataset else (1, 10)
    values = {"in_channels": channels, "classes": classes, **values}
    weights = ("weights", str | None, dataclasses.field(default=None))
    schema = dataclasses.make_dataclass("Network", [weights], bases=(schema_of(builder),), kw_only=True)
    checked = typed(schema, values, "model")
    arguments: dict[str, Any] = {key: getattr(checked, key) for key in values if key != "weights"}
    architecture = Architecture(target, arguments)
    _try(architecture)
    return Model(_name(config, target), architecture, checked.weights)


def _try(architecture: Architecture) -> None:
    """Build it without memory, so that what the network itself refuses is found. Raises PlanError."""
    import torch

    try:
        with torch.device("meta"):
            architecture.build()
    except ValueError as error:
        raise PlanError.of("model", str(error)) from error


def _name(config: DictConfig, target: str) -> str:
    chosen = config.get("chosen")
    name = chosen.get("model") if isinstance(chosen, DictConfig) else None
    return str(name or target.rpartition(".")[2])
