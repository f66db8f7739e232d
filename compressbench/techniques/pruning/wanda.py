"""Weights go that are small, or whose inputs are (Sun et al. 2024)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import torch
from torch import Tensor

from compressbench.core.context import Context
from compressbench.core.format import Blocks
from compressbench.core.subject import Subject
from compressbench.core.task import moved
from compressbench.core.technique import Technique
from compressbench.techniques._layer_sums import CALIBRATION_BATCH, columns_of
from compressbench.techniques.pruning._calibrated import Layer, check_calibrated, prune_layers
from compressbench.techniques.pruning._patterns import pattern_of
from compressbench.techniques.pruning._ranking import apportion
from compressbench.techniques.pruning._unstructured import survivors


@dataclass(frozen=True)
class WandaPruning(Technique):
    """Prune once, without training: of each output the weights with the least magnitude times norm of their input.

    Source: Sun et al. 2024, "A Simple and Effective Pruning Approach for Large Language Models", equation 1 and
    Algorithm 1: the score of weight (r, c) is |w| times the L2 norm of input c over all examples and places; the
    weights of a row compete with each other alone. Layer after layer, on inputs that come through what is pruned so
    far. The others stay as they are.

    targets, ignore: linear layers and convolutions of images, also grouped; a row is a filter, its inputs the values
    below each of its weights. ratio: fraction of each row's weights set to zero, 0 or more and less than 1; ratios:
    others for some layers. pattern: null, `"2:4"` or `4x4`, as in `pruning/magnitude`; blocks compete within their
    rows. examples: of training that inputs are looked at, rounded up to batches of 64.

    We differ: rows share what a layer keeps by largest remainder, so that its number of zeros is exact (`_ranking`).
    """

    targets: list[str]
    ignore: list[str]
    ratio: float
    ratios: dict[str, float]
    pattern: str | None
    examples: int

    needs: ClassVar[frozenset[str]] = frozenset({"trained"})
    adds: ClassVar[frozenset[str]] = frozenset({"sparse"})
    refuses: ClassVar[frozenset[str]] = frozenset({"quantized"})

    def __post_init__(self) -> None:
        check_calibrated(self.ratio, self.ratios, self.pattern, self.examples)

    def apply(self, subject: Subject, context: Context) -> Subject:
        pattern = pattern_of(self.pattern)
        band, width = (pattern.rows, pattern.columns) if isinstance(pattern, Blocks) else (1, 1)

        def prune(layer: Layer) -> tuple[Tensor, Tensor]:
            norms = self._norms(subject, layer.name, context)[:, layer.order]
            scores = layer.weight.abs() * norms.repeat_interleave(len(layer.weight) // layer.groups, dim=0)
            bands = scores.split(band)
            allowed = [None] * len(bands) if layer.allowed is None else layer.allowed.split(band)
            counts = apportion([Fraction(layer.count, len(bands) * band * width)] * len(bands))
            each = zip(bands, allowed, counts, strict=True)
            return layer.weight, torch.cat([survivors(*own, pattern) for own in each])

        return prune_layers(self, subject, context, prune)

    def _norms(self, subject: Subject, name: str, context: Context) -> Tensor:
        """Return the L2 norm of each of a layer's inputs, (groups, columns)."""
        device = subject.model.get_parameter(f"{name}.weight").device
        batches = context.calibration(CALIBRATION_BATCH, -(-self.examples // CALIBRATION_BATCH))
        squares = [columns_of(subject.model, name, moved(given, device)).square().sum(1) for given, _ in batches]
        return torch.stack(squares).sum(0).sqrt()
