"""The model node of a configuration becomes a Model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from inspect import Parameter
from typing import Any

from omegaconf import DictConfig

from compressbench.core.architecture import Architecture, parameters_of, taken
from compressbench.core.data import Dataset
from compressbench.core.errors import PlanError
from compressbench.core.model import Model, Weights
from compressbench.core.plugins import use
from compressbench.core.task import SAID
from compressbench.planning.schema import resolved, schema_of, typed
from compressbench.planning.stages import TARGET

WITHOUT_DATA = {**dict.fromkeys(SAID, 10), "image_size": 32}
"""What a network takes from the data, where its arguments are checked without any."""


def build_model(config: DictConfig, dataset: Dataset | None) -> Model:
    """Return the network, with what the dataset says of itself where the network takes it and the model says nothing.

    Without a dataset the arguments are checked all the same. Raises PlanError.
    """
    if not isinstance(config.get("model"), DictConfig):
        raise PlanError.of("model", "none is named; e.g. `model: alexnet` (`compressbench list models` shows all)")
    values = resolved(config.model, "model")
    target = str(values.pop(TARGET, ""))
    weights = _weights(values.get("weights"))
    use(target)
    try:
        builder = Architecture(target).builder()
        known = parameters_of(builder, target)
    except ValueError as error:
        raise PlanError.of("model", str(error)) from error
    said = dataset.task.arguments() if dataset else WITHOUT_DATA
    values = taken(said, known) | values
    lacking = [name for name in SAID if name in known and name not in values and known[name].default is Parameter.empty]
    if dataset and lacking:
        has = f"{dataset.task.name} has {', '.join(dataset.task.arguments())}"
        what = f"takes {', '.join(lacking)}, which {dataset.name} does not have ({has}); take another model or dataset"
        raise PlanError.of("model", what)
    checked = typed(_schema(builder, values, known), values, "model")
    architecture = Architecture(target, {key: getattr(checked, key) for key in values if key != "weights"})
    _try(architecture)
    return Model(_name(config, target), architecture, weights)


def _schema(builder: Callable[..., Any], values: Mapping[str, Any], known: Mapping[str, Parameter]) -> type:
    """Return a dataclass of what a network takes, and `weights`; of one that takes anything (`**options`) also of what
    it is given."""
    schema = schema_of(builder)
    others = {"weights"}
    if any(each.kind is each.VAR_KEYWORD for each in known.values()):
        others |= values.keys() - {each.name for each in dataclasses.fields(schema)}
    added = [(key, Any, dataclasses.field(default=None)) for key in sorted(others)]
    return dataclasses.make_dataclass("Network", added, bases=(schema,), kw_only=True)


def _weights(value: Any) -> str | Weights | None:
    if value is None or isinstance(value, str):
        return value
    if not isinstance(value, Mapping):
        what = f"is {value!r}; allowed: a file, the name of a weight set, or `{{file: FILE, rename: {{THEIRS: OURS}}}}`"
        raise PlanError.of("model.weights", what)
    weights: Weights = typed(Weights, value, "model.weights")
    return weights


def _try(architecture: Architecture) -> None:
    """Lay it out, so that what the network itself refuses is found. Raises PlanError."""
    try:
        architecture.lay_out()
    except ValueError as error:
        raise PlanError.of("model", str(error)) from error


def _name(config: DictConfig, target: str) -> str:
    chosen = config.get("chosen")
    name = chosen.get("model") if isinstance(chosen, DictConfig) else None
    return str(name or target.rpartition(".")[2])
