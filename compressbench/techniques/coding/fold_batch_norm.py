"""Batch normalisation becomes part of the layer before it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import fx, nn

from compressbench.core.constraint import Mask
from compressbench.core.context import Context
from compressbench.core.format import PRUNED
from compressbench.core.subject import Skipped, Subject
from compressbench.core.technique import Technique
from compressbench.techniques._layers import layers_of


@dataclass(frozen=True)
class FoldBatchNorm(Technique):
    """Multiply each convolution's (linear layer's) weights by what the batch norm after it scales its channels with.

    Source: Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
    Inference", section 3.2.

    With running mean m, variance v, scale g and shift b: weights times s = g / sqrt(v + eps), bias b + (bias - m) s.
    The batch norm becomes an Identity. What stands before it is found by tracing. One is left alone, and reported, if
    no such layer stands before it, if something else uses that layer's output too, or if it has no running statistics.
    Masks of weights and formats of pruned ones stay, for zeros stay zeros. Everything else that was promised of a
    folded layer, or said of how it is stored, is done with: its bias holds the shift now, and its weights have other
    values.
    """

    version: ClassVar[int] = 2
    needs: ClassVar[frozenset[str]] = frozenset({"trained"})
    adds: ClassVar[frozenset[str]] = frozenset({"folded"})
    refuses: ClassVar[frozenset[str]] = frozenset({"quantized", "folded"})

    def apply(self, subject: Subject, context: Context) -> Subject:
        before = _layers_before(subject.model)
        for name, norm in layers_of(subject.model, ["bn"]).items():
            layer = before.get(name)
            reason = _obstacle(norm, None if layer is None else subject.model.get_submodule(layer))
            if reason:
                subject.skipped.append(Skipped(name, reason))
                continue
            assert layer is not None
            assert isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d)
            _fold(subject.model.get_submodule(layer), norm)
            subject.replace_module(name, nn.Identity())
            subject.release(f"{layer}.bias")  # it takes up a shift that was free
            subject.release(f"{layer}.weight", but=(Mask, *PRUNED))  # and the weight a scale, but for its zeros
        return subject


def _obstacle(norm: nn.Module, layer: nn.Module | None) -> str:
    """Return why a batch norm cannot be folded, empty if it can."""
    if not isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
        return f"a {type(norm).__name__} cannot be folded"
    if norm.running_mean is None:
        return "it has no running statistics to fold"
    if layer is None:
        return "no convolution or linear layer stands right before it and feeds nothing else"
    if type(layer) not in (nn.Conv1d, nn.Conv2d, nn.Linear):
        return f"a {type(layer).__name__} stands before it, whose weights are not free to be scaled"
    return ""


class _Tracer(fx.Tracer):
    """Looks into what holds other modules, and at nothing else."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return not list(m.children())


def _layers_before(model: nn.Module) -> dict[str, str]:
    """Return by name of a module the name of the layer that feeds it and nothing else; both run once.

    Raises ValueError if the network cannot be traced.
    """
    try:
        graph = _Tracer().trace(model)
    except Exception as error:  # whatever the network's own code does with a stand-in for a tensor
        kind = type(model).__name__
        raise ValueError(f"{kind} cannot be traced, so its batch norm cannot be folded: {error}") from error
    calls = [node for node in graph.nodes if node.op == "call_module"]
    times = Counter(str(node.target) for node in calls)
    found = {}
    for node in calls:
        source = node.args[0] if node.args else None
        if not isinstance(source, fx.Node) or source.op != "call_module" or len(source.users) != 1:
            continue
        name, layer = str(node.target), str(source.target)
        if times[name] == times[layer] == 1 and _is_layer(model.get_submodule(layer)):
            found[name] = layer
    return found


def _is_layer(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear)


@torch.no_grad()
def _fold(layer: nn.Module, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
    assert isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    factor = torch.rsqrt(norm.running_var.double() + norm.eps)
    if norm.affine:
        factor *= norm.weight
    bias = -norm.running_mean * factor if layer.bias is None else (layer.bias - norm.running_mean) * factor
    if norm.affine:
        bias += norm.bias
    layer.weight.copy_(layer.weight * factor.view(-1, *[1] * (layer.weight.dim() - 1)))
    layer.bias = nn.Parameter(bias.to(layer.weight.dtype))
