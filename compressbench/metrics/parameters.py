"""How many parameters a network has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from compressbench.core.metric import EvaluationInput, MetricSpec, MetricValue
from compressbench.core.task import Task


@dataclass(frozen=True)
class Parameters:
    """`params` and `params_without_bn`, which is what papers print, all of them and those that are not zero."""

    predictable: ClassVar[bool] = True

    def specs(self, task: Task) -> tuple[MetricSpec, ...]:
        def spec(name: str, heading: str = "", published_as: str = "", sparse_for: str = "") -> MetricSpec:
            return MetricSpec(
                name, "count", False, heading, "count", True, published_as=published_as, sparse_for=sparse_for
            )

        return (
            spec("params", "params"),
            spec("params_nonzero", "non-zero", sparse_for="params"),
            spec("params_without_bn", published_as="params"),
            spec("params_without_bn_nonzero", sparse_for="params_without_bn"),
        )

    def measure(self, given: EvaluationInput) -> list[MetricValue]:
        counts = parameter_counts(given.subject.model)
        return [MetricValue(spec, counts[spec.name]) for spec in self.specs(given.task)]


def parameter_counts(model: nn.Module) -> dict[str, int]:
    """Return `params`, `params_nonzero`, `params_without_bn` and `params_without_bn_nonzero`.

    Shared parameters count once; running statistics and the scales of int8 layers are buffers and no parameters. On
    the meta device, where a parameter has a shape but no values, the two non-zero counts are left out.
    """
    everything = list({id(each): each for module in model.modules() for each in parameters_of(module)}.values())
    of_batch_norm = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, _BatchNorm)
        for parameter in parameters_of(module)
    }
    without_bn = [parameter for parameter in everything if id(parameter) not in of_batch_norm]
    counts = {"params": elements(everything)}
    if not any(parameter.is_meta for parameter in everything):
        counts["params_nonzero"] = nonzeros(everything)
    counts["params_without_bn"] = elements(without_bn)
    if "params_nonzero" in counts:
        counts["params_without_bn_nonzero"] = nonzeros(without_bn)
    return counts


def parameters_of(module: nn.Module) -> list[Tensor]:
    """Return a module's own parameters, and its `weight` where it keeps that as a buffer (of integers, which have no
    gradient): quantizing changes how many bytes a network takes, not how many parameters it has."""
    weight = module._buffers.get("weight")
    return [*module.parameters(recurse=False), *([] if weight is None else [weight])]


def elements(tensors: Iterable[Tensor]) -> int:
    """Return the number of elements of all tensors together."""
    return sum(tensor.numel() for tensor in tensors)


def nonzeros(tensors: Iterable[Tensor]) -> int:
    """Return the number of elements that are not zero (NaN is not zero)."""
    return sum(int(torch.count_nonzero(tensor.detach())) for tensor in tensors)
