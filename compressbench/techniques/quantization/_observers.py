"""What values activations take: seen on calibration images, and cut where it pays.

A layer's output is looked at too where it does not reach the next int8 layer as it is: rounding it keeps an addition's
operands integers, so that runtimes can compute the layer with integers (a convolution before a residual addition).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from compressbench.core.errors import out_of_range, suggestion
from compressbench.core.task import Inputs, feed, moved

Range = tuple[float, float]
"""The least and the largest value."""
HOW = ("minmax", "percentile", "mse")
BINS = 2048
PASSING = {"relu", "relu_", "relu6", "hardtanh", "hardtanh_", "max_pool2d", "dropout", "flatten", "view", "reshape"}
"""Functions through which 8-bit values go as they are: they commute with rounding."""


class Ranges(NamedTuple):
    """Of a layer's input, and of its output if that is to be rounded."""

    input: Range
    output: Range | None = None


@dataclass
class Seen:
    """The values of one tensor over all images. counts: a histogram of `BINS` bins from low to high."""

    low: float = 0.0
    high: float = 0.0
    counts: Tensor = field(default_factory=lambda: torch.zeros(BINS))

    def widen(self, values: Tensor) -> None:
        low, high = torch.aminmax(values.detach())
        self.low, self.high = min(self.low, float(low)), max(self.high, float(high))

    def count(self, values: Tensor) -> None:
        if self.high > self.low:
            self.counts += torch.histc(values.detach().float().cpu(), BINS, self.low, self.high)

    def range(self, how: str, percentile: float) -> Range:
        """Return the range to be quantized; zero lies in it."""
        if how == "minmax" or not self.counts.any():
            return self.low, self.high
        if how == "percentile":
            return percentile_range(self.counts, self.low, self.high, percentile)
        return least_squares_range(self.counts, self.low, self.high)


def percentile_range(counts: Tensor, low: float, high: float, percentile: float) -> Range:
    """Return where the fraction `percentile` of the values lies below, and above, to the width of a bin."""
    below = counts.cumsum(0) / counts.sum()
    width = (high - low) / len(counts)
    first = int((below > 1 - percentile).nonzero()[0])
    last = int((below >= min(percentile, float(below[-1]))).nonzero()[0])
    return min(0.0, low + first * width), max(0.0, low + (last + 1) * width)


def least_squares_range(counts: Tensor, low: float, high: float) -> Range:
    """Return the range, of 100 that shrink evenly to a hundredth, whose 256 values are nearest to the data.

    What lies outside is cut to the end, so that a few large values do not make all steps coarse.
    """
    centres = low + (torch.arange(len(counts)) + 0.5) * (high - low) / len(counts)
    best, least = (low, high), float("inf")
    for percent in range(100, 0, -1):
        ends = low * percent / 100, high * percent / 100
        scale = (ends[1] - ends[0]) / 255
        zero_point = round(-ends[0] / scale)
        rounded = ((centres / scale).round() + zero_point).clamp(0, 255).sub(zero_point) * scale
        error = float((counts * (rounded - centres) ** 2).sum())
        if error < least:
            best, least = ends, error
    return best


def check_range(how: str, percentile: float) -> None:
    """Raise ValueError for an unknown rule, or a percentile that is not in (0.5, 1]."""
    if how not in HOW:
        raise ValueError(f"range is {how!r}; {suggestion(how, HOW)}")
    if not 0.5 < percentile <= 1:
        raise out_of_range("percentile", percentile, "more than 0.5 and at most 1")


def activation_ranges(
    model: nn.Module,
    names: Collection[str],
    batches: Callable[[], Iterable[tuple[Inputs, Tensor]]],
    how: str,
    percentile: float,
) -> dict[str, Ranges]:
    """Return the ranges of the named layers on these examples; a layer that never runs is left out.

    batches: gives the same examples each time; they are passed through once, or twice for the rules that count.
    ValueError, naming the layer, for activations that are not numbers.
    """
    inputs = {name: Seen() for name in names}
    outputs = {name: Seen() for name in names}
    watch = _Watch({model.get_submodule(name): name for name in names})
    _pass(model, inputs, outputs, batches, Seen.widen, watch)
    for name in watch.ran:
        if not all(abs(end) < float("inf") for seen in (inputs[name], outputs[name]) for end in (seen.low, seen.high)):
            raise ValueError(f"an activation of {name} is not a number; the network cannot be quantized")
    if how != "minmax":
        leaving = {name: seen for name, seen in outputs.items() if name in watch.leaving}
        _pass(model, inputs, leaving, batches, Seen.count, None)
    return {
        name: Ranges(
            inputs[name].range(how, percentile),
            outputs[name].range(how, percentile) if name in watch.leaving else None,
        )
        for name in names
        if name in watch.ran
    }


@torch.no_grad()
def _pass(
    model: nn.Module,
    inputs: Mapping[str, Seen],
    outputs: Mapping[str, Seen],
    batches: Callable[[], Iterable[tuple[Inputs, Tensor]]],
    look: Callable[[Seen, Tensor], None],
    watch: _Watch | None,
) -> None:
    def hook(name: str) -> Any:
        def see(layer: nn.Module, given: tuple[Tensor, ...], named: dict[str, Tensor], output: Tensor) -> None:
            look(inputs[name], next(iter((*given, *named.values()))))
            if name in outputs:
                look(outputs[name], output)

        return see

    handles = [model.get_submodule(name).register_forward_hook(hook(name), with_kwargs=True) for name in inputs]
    modes = [(module, module.training) for module in model.modules()]
    device = next(model.parameters()).device
    model.eval()
    try:
        for given, _ in batches():
            if watch is None:
                feed(model, moved(given, device))
            else:
                watch.forward(model, moved(given, device))
                watch = None  # the same way for every example
    finally:
        for module, training in modes:
            module.training = training
        for handle in handles:
            handle.remove()


class _Watch(TorchFunctionMode):
    """Finds, in a forward pass, the layers whose output goes into anything but another of them.

    ran: layers that were called. leaving: those whose output some other function takes.
    """

    def __init__(self, layers: Mapping[nn.Module, str]):
        super().__init__()
        self.layers = layers
        self.ran: set[str] = set()
        self.leaving: set[str] = set()
        self.owners: dict[int, str] = {}
        self.alive: list[Tensor] = []  # so that no identity is given to another tensor
        self.inside = False

    def forward(self, model: nn.Module, inputs: Inputs) -> None:
        handles = []
        for layer in self.layers:
            handles += [layer.register_forward_pre_hook(self._enter), layer.register_forward_hook(self._leave)]
        try:
            with self:
                feed(model, inputs)
        finally:
            for handle in handles:
                handle.remove()
            self.alive.clear()

    def _enter(self, layer: nn.Module, given: Any) -> None:
        self.inside = True
        self.ran.add(self.layers[layer])

    def _leave(self, layer: nn.Module, given: Any, output: Tensor) -> None:
        self.inside = False
        self._own(output, self.layers[layer])

    def _own(self, tensor: Tensor, owner: str) -> None:
        self.owners[id(tensor)] = owner
        self.alive.append(tensor)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if self.inside or not isinstance(result, Tensor):
            return result
        given = [value for arg in args for value in (arg if isinstance(arg, list | tuple) else [arg])]
        owners = [self.owners[id(value)] for value in given if isinstance(value, Tensor) and id(value) in self.owners]
        if func.__name__.lstrip("_") in PASSING:
            for owner in owners:
                self._own(result, owner)
        else:
            self.leaving.update(owners)
        return result
