"""How many multiply-adds one image costs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from compressbench.core.metric import EvaluationInput, MetricSpec, MetricValue
from compressbench.core.task import Task
from compressbench.metrics._forward import Call, calls
from compressbench.metrics.parameters import elements, nonzeros, parameters_of

WITHOUT_MACS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.PReLU, nn.Embedding)
"""Layers with parameters that cost none: batch and instance norm can be folded into their neighbour, the others scale
single elements or only look up. Nor does any leaf whose parameters are all scalars: it can only scale or clip."""


@dataclass(frozen=True)
class Macs:
    """`macs` of one image, and `macs_nonzero`: those whose weight is not zero."""

    predictable: ClassVar[bool] = True

    def specs(self, task: Task) -> tuple[MetricSpec, ...]:
        return (
            MetricSpec("macs", "count", higher_is_better=False, heading="MACs", format="count", limit=True),
            MetricSpec("macs_nonzero", "count", higher_is_better=False, format="count", limit=True),
        )

    def measure(self, given: EvaluationInput) -> list[MetricValue]:
        counts = mac_counts(given.subject.model, given.example)
        return [MetricValue(spec, counts[spec.name]) for spec in self.specs(given.task)]


def mac_counts(model: nn.Module, example: Tensor) -> dict[str, int]:
    """Return `macs` and `macs_nonzero` of one image, example (n, C, H, W), by the shapes the network has now.

    One MAC is one weight used at one position; padding counts like any input, biases and activations do not count.
    On the meta device, where weights have no values, `macs_nonzero` is left out. ValueError for a layer with
    parameters that it does not know how to count.
    """
    table = layer_table(model, example)
    return {key: sum(row[key] for row in table) for key in ("macs", "macs_nonzero") if all(key in row for row in table)}


def layer_table(model: nn.Module, example: Tensor) -> list[dict[str, Any]]:
    """Return one row for each layer that has parameters: `name`, `kind` (its class), `output_shape` (of one image; of
    its last call; empty if it never ran), `params`, `params_nonzero`, `macs`, `macs_nonzero`.

    Rows stand in the order in which the layers first ran. The sums are the network's: a parameter that two layers
    share is in the row of the first. JSON-able. Otherwise like `mac_counts`.
    """
    owners = {name: module for name, module in model.named_modules() if parameters_of(module)}
    for name, module in owners.items():
        _check_countable(name, module)
    ran: dict[str, list[Call]] = {}
    for call in calls(model, example):
        if call.name in owners:
            ran.setdefault(call.name, []).append(call)
    never_ran = [name for name in owners if name not in ran]
    seen: set[int] = set()
    return [_row(name, owners[name], ran.get(name, []), example.shape[0], seen) for name in [*ran, *never_ran]]


def _row(name: str, module: nn.Module, made: list[Call], images: int, seen: set[int]) -> dict[str, Any]:
    parameters = parameters_of(module)
    own = [parameter for parameter in parameters if id(parameter) not in seen]
    seen.update(id(parameter) for parameter in own)
    positions = sum(_positions(call) for call in made) // images
    row: dict[str, Any] = {
        "name": name,
        "kind": type(module).__name__,
        "output_shape": list(made[-1].output_shape[1:]) if made else [],
        "params": elements(own),
        "macs": 0,
    }
    valued = not any(parameter.is_meta for parameter in parameters)
    if valued:
        row |= {"params_nonzero": nonzeros(own), "macs_nonzero": 0}
    if isinstance(module, _ConvNd | nn.Linear):
        row["macs"] = module.weight.numel() * positions
        if valued:
            row["macs_nonzero"] = nonzeros([module.weight]) * positions
    return row


def _positions(call: Call) -> int:
    """Return how often each weight is used in a call, all images together."""
    if isinstance(call.module, _ConvTransposeNd):  # every input position is spread over a kernel
        return math.prod(call.input_shape) // call.module.in_channels
    if isinstance(call.module, _ConvNd):  # every output position gathers a kernel, over its group's channels
        return math.prod(call.output_shape) // call.module.out_channels
    if isinstance(call.module, nn.Linear):
        return math.prod(call.output_shape) // call.module.out_features
    return 0


def _check_countable(name: str, module: nn.Module) -> None:
    only_scalars = not list(module.children()) and all(parameter.numel() == 1 for parameter in module.parameters())
    if not isinstance(module, (_ConvNd, nn.Linear, *WITHOUT_MACS)) and not only_scalars:
        raise ValueError(
            f"the MACs of the layer {name or 'at the top'!r} ({type(module).__name__}) cannot be counted; "
            "known: convolutions, transposed ones, Linear, and what costs none: norms, PReLU, Embedding, scalars"
        )
