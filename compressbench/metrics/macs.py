"""How many multiply-adds one example costs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from compressbench.core.metric import EvaluationInput, MetricSpec, MetricValue
from compressbench.core.task import Inputs, Task, tensors
from compressbench.metrics._forward import Call, calls
from compressbench.metrics._products import Products, products
from compressbench.metrics.parameters import elements, nonzeros, parameters_of

WITHOUT_MACS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.PReLU, nn.Embedding)
"""Layers with parameters that cost none: batch and instance norm can be folded into their neighbour, the others scale
single elements or only look up."""
RECURRENT = (nn.RNNBase, nn.RNNCellBase)
"""Each of their weight matrices is used once for every step of every sequence."""
BY_FORMULA = (_ConvNd, nn.Linear, *RECURRENT, *WITHOUT_MACS)


@dataclass(frozen=True)
class Macs:
    """`macs` of one example, and `macs_nonzero`: those whose weight is not zero."""

    predictable: ClassVar[bool] = True

    def specs(self, task: Task) -> tuple[MetricSpec, ...]:
        return (
            MetricSpec("macs", "count", higher_is_better=False, heading="MACs", format="count", limit=True),
            MetricSpec("macs_nonzero", "count", higher_is_better=False, format="count", limit=True),
        )

    def measure(self, given: EvaluationInput) -> list[MetricValue]:
        counts = mac_counts(given.subject.model, given.example)
        return [MetricValue(spec, counts[spec.name]) for spec in self.specs(given.task)]


def mac_counts(model: nn.Module, example: Inputs) -> dict[str, int]:
    """Return `macs` and `macs_nonzero` of one example, by the shapes the network has now.

    One MAC is one weight used at one position, or one product of two activations (attention); padding counts like any
    input, biases, what only scales or adds element by element, and activation functions do not count. On the meta
    device, where weights have no values, `macs_nonzero` is left out. What cannot be counted is left out, and listed by
    `layer_table`.
    """
    table = layer_table(model, example)
    return {key: sum(row[key] for row in table) for key in ("macs", "macs_nonzero") if all(key in row for row in table)}


def layer_table(model: nn.Module, example: Inputs) -> list[dict[str, Any]]:
    """Return one row for each layer that has parameters or multiplies: `name`, `kind` (its class), `output_shape` (of
    one example; of its last call; empty if it never ran), `params`, `params_nonzero`, `macs`, `macs_nonzero`; and
    `not_counted`, the operators that have no formula, where there are any.

    Rows stand in the order in which the layers first ran. The sums are the network's: a parameter that two layers
    share is in the row of the first. JSON-able. Otherwise like `mac_counts`.
    """
    with products(model, lambda module: isinstance(module, BY_FORMULA)) as others:
        made = calls(model, example)
    multiplying = {*others.macs, *others.not_counted}
    owners = {name: module for name, module in model.named_modules() if parameters_of(module) or name in multiplying}
    ran: dict[str, list[Call]] = {}
    for call in made:
        if call.name in owners:
            ran.setdefault(call.name, []).append(call)
    order, seen = [*ran, *(name for name in owners if name not in ran)], set[int]()
    return [_row(name, owners[name], ran.get(name, []), others, len(tensors(example)[0]), seen) for name in order]


def _row(
    name: str, module: nn.Module, made: list[Call], others: Products, examples: int, seen: set[int]
) -> dict[str, Any]:
    parameters = parameters_of(module)
    own = [parameter for parameter in parameters if id(parameter) not in seen]
    seen.update(id(parameter) for parameter in own)
    positions = sum(_positions(call) for call in made) // examples
    weights = _weights(module)
    row: dict[str, Any] = {
        "name": name,
        "kind": type(module).__name__,
        "output_shape": list(made[-1].output_shape[1:]) if made else [],
        "params": elements(own),
        "macs": elements(weights) * positions + others.macs.get(name, 0) // examples,
    }
    if others.valued and not any(parameter.is_meta for parameter in parameters):
        by_others = others.macs_nonzero.get(name, 0) // examples
        row |= {"params_nonzero": nonzeros(own), "macs_nonzero": nonzeros(weights) * positions + by_others}
    return row | ({"not_counted": others.not_counted[name]} if name in others.not_counted else {})


def _weights(module: nn.Module) -> list[Tensor]:
    """Return what a layer multiplies with at every position; nothing if it costs none or no formula knows it."""
    if isinstance(module, _ConvNd | nn.Linear):
        return [module.weight]
    if isinstance(module, RECURRENT):
        return [weight for name, weight in module.named_parameters(recurse=False) if name.startswith("weight")]
    return []


def _positions(call: Call) -> int:
    """Return how often each weight is used in a call, all examples together."""
    if isinstance(call.module, _ConvTransposeNd):  # every input position is spread over a kernel
        return math.prod(call.input_shape) // call.module.in_channels
    if isinstance(call.module, _ConvNd):  # every output position gathers a kernel, over its group's channels
        return math.prod(call.output_shape) // call.module.out_channels
    if isinstance(call.module, nn.Linear):
        return math.prod(call.output_shape) // call.module.out_features
    if isinstance(call.module, RECURRENT):
        return math.prod(call.input_shape) // call.module.input_size
    return 0
