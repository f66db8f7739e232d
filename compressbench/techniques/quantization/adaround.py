"""Whether each weight is rounded up or down is learned from the layer's outputs (Nagel et al. 2020)."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.subject import Subject
from compressbench.core.task import moved
from compressbench.core.technique import Technique
from compressbench.techniques._layer_sums import CALIBRATION_BATCH, columns_of
from compressbench.techniques.quantization._grid import check_grid, grid_of, quantized
from compressbench.techniques.quantization._layerwise import layers_with_inputs
from compressbench.techniques.quantization._readers import readers_of

ZETA, GAMMA = 1.1, -0.1
"""What the sigmoid is stretched to before it is cut to 0 and 1."""
START = 0.2
"""The part of the steps in which nothing drives h to 0 or 1."""


@dataclass(frozen=True)
class AdaRoundQuantization(Technique):
    """Learn to round each weight up or down so that its layer's output stays near on calibration examples.

    Source: Nagel et al. 2020, "Up or Down? Adaptive Rounding for Post-Training Quantization", sections 3.2 to 3.5. With
    h = clip(1.2 sigmoid(v) - 0.1, 0, 1) the weights are scale (floor(w / scale) + h). Adam moves v to minimise the
    squared error of the layer's output plus `regularization` sum(1 - |2 h - 1|^beta), which drives h to 0 or 1 as beta
    falls (Eq. 21 to 24). Layer after layer: the inputs come through the layers quantized so far, the outputs aimed at
    are those of the network as it was, behind the ReLU where the layer's output goes into one (Eq. 25).

    targets, ignore: what is quantized, and what is not; biases are not. bits, group, symmetric, range, step: the grid,
    as of `quantization/round_to_nearest`. examples: calibration examples, rounded up to batches of 64. places: how many
    of a layer's inputs (of examples, times the places of a convolution or a sequence) are drawn from them. iterations:
    steps of Adam for each layer. batch: inputs of a step. lr: its learning rate. regularization: 0 or more. beta_start,
    beta_end: of beta, which falls as half a cosine after the first fifth of the steps, in which nothing drives h.

    We differ: the paper takes 10,000 steps of 32 whole images; ours draws places, and scales are rounded to bfloat16.
    Weights that are zero stay so.
    """

    targets: list[str]
    ignore: list[str]
    bits: int
    group: int
    symmetric: bool
    range: str
    examples: int
    places: int
    iterations: int
    batch: int
    lr: float
    regularization: float
    beta_start: float
    beta_end: float
    step: float | None = None

    needs: ClassVar[frozenset[str]] = frozenset({"trained"})
    adds: ClassVar[frozenset[str]] = frozenset({"quantized"})
    refuses: ClassVar[frozenset[str]] = frozenset({"quantized"})

    def __post_init__(self) -> None:
        check_grid(self)
        for key in ("examples", "places", "iterations", "batch"):
            if getattr(self, key) < 1:
                raise out_of_range(key, getattr(self, key), "1 or more")
        for key in ("lr", "beta_start", "beta_end"):
            if not 0 < getattr(self, key) < torch.inf:
                raise out_of_range(key, getattr(self, key), "more than 0")
        if not 0 <= self.regularization < torch.inf:
            raise out_of_range("regularization", self.regularization, "0 or more")

    def apply(self, subject: Subject, context: Context) -> Subject:
        names = layers_with_inputs(subject, self.targets, self.ignore)
        model = subject.model.eval()
        original, readers = copy.deepcopy(model), readers_of(model, context.example)
        with context.progress.task("rounding", len(names)) as advance:
            for name in names:
                layer = model.get_submodule(name)
                rectified = [type(model.get_submodule(reader)) for reader in readers.get(name, [])] == [nn.ReLU]
                seen, aims = self._drawn(model, original, name, context)
                bias = getattr(layer, "bias", None)
                shift = torch.zeros_like(aims[:, :1]) if bias is None else bias.detach().view(len(aims), 1, -1)
                weights = layer.get_parameter("weight").detach().flatten(1)
                found = self.rounded(weights, seen, aims + shift, shift, rectified, context.generator)
                quantized(subject, f"{name}.weight", found, self)
                advance(1, name)
        return subject

    @torch.no_grad()
    def _drawn(self, model: nn.Module, original: nn.Module, name: str, context: Context) -> tuple[Tensor, Tensor]:
        """Return inputs of the layer (groups, places, columns), and its outputs in the original network, without bias,
        (groups, places, rows of a group)."""
        weights = original.get_submodule(name).get_parameter("weight").flatten(1)
        batches = -(-self.examples // CALIBRATION_BATCH)
        inputs, outputs = [], []
        for given, _ in context.calibration(CALIBRATION_BATCH, batches):
            given = moved(given, weights.device)
            ours, theirs = columns_of(model, name, given), columns_of(original, name, given)
            order = torch.randperm(ours.shape[1], generator=context.generator)[: -(-self.places // batches)]
            chosen = order.to(ours.device)
            inputs.append(ours[:, chosen])
            outputs.append(theirs[:, chosen] @ weights.view(len(ours), -1, weights.shape[1]).mT)
        return torch.cat(inputs, 1), torch.cat(outputs, 1)

    @torch.enable_grad()
    def rounded(
        self, weights: Tensor, seen: Tensor, aims: Tensor, shift: Tensor, rectified: bool, generator: torch.Generator
    ) -> Tensor:
        """Return a matrix (rows, columns) on the grid, rounded so that what comes out is near.

        seen: inputs (groups, places, columns). aims: outputs, bias included, (groups, places, rows of a group). shift:
        the bias (groups, 1, rows of a group). rectified: whether a ReLU follows.
        """
        grid = grid_of(weights, self)
        below = (weights / grid.scale).floor()
        rest = weights / grid.scale - below
        free = torch.logit((rest - GAMMA) / (ZETA - GAMMA)).requires_grad_()
        optimizer = torch.optim.Adam([free], self.lr)
        aims = aims.relu() if rectified else aims
        for step in range(self.iterations):
            chosen = torch.randint(seen.shape[1], (self.batch,), generator=generator).to(seen.device)
            up = _stretched(free) * (weights != 0)
            soft = (torch.clamp(below + up, grid.low, grid.high) * grid.scale).view(len(seen), -1, weights.shape[1])
            found = seen[:, chosen] @ soft.mT + shift
            error = ((found.relu() if rectified else found) - aims[:, chosen]).square().sum() / self.batch
            loss = error + self.regularization * self._undecided(up, step / self.iterations)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            up = (_stretched(free) >= 0.5) & (weights != 0)
            return torch.clamp(below + up, grid.low, grid.high) * grid.scale + 0.0

    def _undecided(self, up: Tensor, done: float) -> Tensor:
        """Return how far the h are from 0 and 1; nothing in the first fifth of the steps. done: 0 to 1."""
        if done < START:
            return up.new_zeros(())
        falling = (1 + math.cos(math.pi * (done - START) / (1 - START))) / 2
        beta = self.beta_end + (self.beta_start - self.beta_end) * falling
        return (1 - (2 * up - 1).abs().pow(beta)).sum()


def _stretched(free: Tensor) -> Tensor:
    return torch.clamp(free.sigmoid() * (ZETA - GAMMA) + GAMMA, 0, 1)
