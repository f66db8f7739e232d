"""A linear layer whose weights are a train of small tensors (Novikov et al. 2015)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

MOST_MODES = 16


class TensorTrainLinear(nn.Module):
    """Maps (..., product of in_modes) to (..., product of out_modes).

    in_modes, out_modes: the sizes that inputs and outputs are folded into, as many of one as of the other. ranks:
    between the cores, one fewer. Core k holds G[r, o, i, s] as the weights of a linear layer `cores.k` without bias,
    from (r, i) to (o, s): it counts, is pruned and is quantized as such. ValueError for sizes that do not fit.
    """

    def __init__(self, in_modes: Sequence[int], out_modes: Sequence[int], ranks: Sequence[int], bias: bool = True):
        super().__init__()
        self.in_modes, self.out_modes, self.ranks = tuple(in_modes), tuple(out_modes), tuple(ranks)
        sizes = (*self.in_modes, *self.out_modes, *self.ranks)
        count = len(self.in_modes)
        fits = 1 <= count <= MOST_MODES and len(self.out_modes) == count and len(self.ranks) == count - 1
        if not fits or not all(type(size) is int and size >= 1 for size in sizes):
            said = f"in_modes {list(in_modes)}, out_modes {list(out_modes)}, ranks {list(ranks)}"
            raise ValueError(f"{said}: there are 1 to {MOST_MODES} sizes of each, one rank fewer, all 1 or more")
        before, after = (1, *self.ranks), (*self.ranks, 1)
        self.cores = nn.ModuleList(
            nn.Linear(before[k] * self.in_modes[k], self.out_modes[k] * after[k], bias=False) for k in range(count)
        )
        self.bias = nn.Parameter(torch.zeros(math.prod(self.out_modes))) if bias else None

    def forward(self, input: Tensor) -> Tensor:
        """Sum over one mode of the inputs after the other, each time together with the rank before it."""
        leading, done, rank, left = input.shape[:-1], 1, 1, math.prod(self.in_modes)
        found = input.reshape(-1, left)
        for core, size, made, after in zip(self.cores, self.in_modes, self.out_modes, (*self.ranks, 1), strict=True):
            left //= size
            folded = found.reshape(-1, done, rank, size, left).permute(0, 1, 4, 2, 3)
            summed = core(folded.reshape(-1, done, left, rank * size))
            found = summed.reshape(-1, done, left, made, after).permute(0, 1, 3, 4, 2)
            done, rank = done * made, after
        output = found.reshape(*leading, done)
        return output if self.bias is None else output + self.bias

    def extra_repr(self) -> str:
        return f"in_modes={self.in_modes}, out_modes={self.out_modes}, ranks={self.ranks}"
