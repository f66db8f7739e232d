"""Grids of evenly spaced values for weights: where they come from, and rounding to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from compressbench.core.errors import out_of_range, suggestion
from compressbench.core.format import Uniform
from compressbench.core.subject import Subject
from compressbench.techniques.quantization._freeze import freeze

FEWEST, MOST = 2, 8
RANGES = ("minmax", "mse")
SHRINKING = [1 - step / 100 for step in range(80)]
"""What parts of the whole range are tried for the least squared error: all of it down to a fifth."""


class GridFields(Protocol):
    """bits: 2 to 8. group: columns (input channels times kernel positions, laid flat) that have a scale of their own;
    0: whole rows, which are output channels. symmetric: integers from -2^(bits - 1) to 2^(bits - 1) - 1; otherwise each
    scale has a zero point. range: what the grid reaches to: the largest weight (`minmax`), or how far the squared error
    of the weights is least (`mse`). step: the one scale of all weights in the place of all that, None for none."""

    @property
    def bits(self) -> int: ...
    @property
    def group(self) -> int: ...
    @property
    def symmetric(self) -> bool: ...
    @property
    def range(self) -> str: ...
    @property
    def step(self) -> float | None: ...


@dataclass(frozen=True)
class Grid:
    """The values (low, ..., low + 2^bits - 1) times scale; tensors that broadcast to the weights'. Zero is one.

    Scales are those of bfloat16, so that a file needs two bytes for one and integer times scale is exact in float32.
    """

    scale: Tensor
    low: Tensor
    bits: int

    @property
    def high(self) -> Tensor:
        return self.low.add(2**self.bits - 1)

    def rounded(self, weights: Tensor) -> Tensor:
        """Return the nearest value of the grid to each weight, without negative zeros; zero stays zero."""
        return torch.clamp((weights / self.scale).round(), self.low, self.high) * self.scale + 0.0

    def column(self, number: int) -> Grid:
        """Return the grid of a column of a matrix."""
        return Grid(self.scale[:, number], self.low[:, number], self.bits)

    def gathered(self, places: Tensor) -> Grid:
        """Return a grid whose columns are these of each row; it shares nothing with this one."""
        return Grid(self.scale.gather(1, places), self.low.gather(1, places), self.bits)


def check_grid(fields: GridFields) -> None:
    """Raise ValueError for fields out of range."""
    if not FEWEST <= fields.bits <= MOST:
        raise out_of_range("bits", fields.bits, f"{FEWEST} to {MOST}")
    if fields.group < 0:
        raise out_of_range("group", fields.group, "0 (whole rows) or more")
    if fields.step is not None:
        if not 0 < fields.step < torch.inf:
            raise out_of_range("step", fields.step, "more than 0, or null (from bits and range)")
        if fields.group or not fields.symmetric:
            raise ValueError("step is the scale of all weights, around zero: it goes with group 0 and symmetric true")
    if fields.range not in RANGES:
        raise ValueError(f"range is {fields.range!r}; {suggestion(fields.range, RANGES)}")


def grid_of(weights: Tensor, fields: GridFields) -> Grid:
    """Return the grid of each weight of a matrix (rows, columns), chosen for each run of `fields.group` columns.

    Raises ValueError for a weight that a grid of `fields.step` does not reach.
    """
    rows, columns = weights.shape
    if fields.step is not None:
        return _of_step(weights, fields.step, fields.bits)
    width = min(fields.group or columns, columns)
    runs = functional.pad(weights, (0, -columns % width)).view(rows, -1, width)
    low = runs.amin(2, keepdim=True).clamp(max=0)  # zero is inside: it must be exact
    high = runs.amax(2, keepdim=True).clamp(min=0)
    found = _reaching(low, high, fields)
    least = torch.full_like(low, torch.inf)
    for part in SHRINKING if fields.range == "mse" else []:
        tried = _reaching(part * low, part * high, fields)
        error = (tried.rounded(runs) - runs).square().sum(2, keepdim=True)
        better = error < least
        scale, lowest = torch.where(better, tried.scale, found.scale), torch.where(better, tried.low, found.low)
        found, least = Grid(scale, lowest, fields.bits), torch.minimum(error, least)
    scale, lowest = (each.expand_as(runs).reshape(rows, -1)[:, :columns] for each in (found.scale, found.low))
    return Grid(scale, lowest, fields.bits)


def _of_step(weights: Tensor, step: float, bits: int) -> Grid:
    half = 2 ** (bits - 1)
    scale = storable(torch.full_like(weights, step))
    largest, reach = float(weights.abs().max()), float((half - 1) * scale[0, 0])
    if largest > reach:
        raise ValueError(f"a step of {step:g} with {bits} bits reaches to {reach:g}; the largest weight is {largest:g}")
    return Grid(scale, torch.full_like(scale, -half), bits)


def _reaching(low: Tensor, high: Tensor, fields: GridFields) -> Grid:
    """Return the grids whose ends are these, about."""
    if fields.symmetric:
        half = 2 ** (fields.bits - 1)
        scale = storable(torch.maximum(-low, high) / (half - 1))
        return Grid(scale, torch.full_like(scale, -half), fields.bits)
    steps = 2**fields.bits - 1
    scale = storable((high - low) / steps)
    return Grid(scale, (low / scale).round().clamp(min=-steps), fields.bits)


def storable(scale: Tensor) -> Tensor:
    """Return scales as bfloat16 has them, to the nearest, for `Uniform`; 1 where they are zero."""
    rounded = scale.bfloat16().to(scale.dtype)
    return torch.where(rounded > 0, rounded, torch.ones_like(rounded))


def quantized(subject: Subject, parameter: str, values: Tensor, fields: GridFields) -> None:
    """Give a parameter values on a grid, promise that it keeps them, and have them stored as integers and scales."""
    weight = subject.model.get_parameter(parameter)
    with torch.no_grad():
        weight.copy_(values.view(weight.shape))
    freeze(subject, parameter, Uniform(fields.bits, fields.group))
