"""Connections that the loss hardly depends on go before the network is trained (Lee et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.techniques._layers import weights_of
from compressbench.techniques.pruning._loss_gradients import mean_gradients
from compressbench.techniques.pruning._patterns import check_pattern, pattern_of
from compressbench.techniques.pruning._unstructured import check_fields, kept_fractions, prune_weights, pruned_again


@dataclass(frozen=True)
class SNIP(Technique):
    """Set the weights with the least |w dL/dw| to zero at once, at initialisation; a training follows.

    Source: Lee et al. 2019, "SNIP: Single-shot Network Pruning based on Connection Sensitivity", equations 4 to 6 and
    Algorithm 1: the sensitivity of a connection is the magnitude of the loss's derivative by a factor on it.

    targets, ignore: what is pruned, and what is not; biases stay. ratio: fraction of weights set to zero, 0 or more and
    less than 1; ratios: others for some layers. scope: which weights compete: all (`global`, the paper's), those of
    each kind (`per_kind`) or layer (`per_layer`). pattern: as in `pruning/magnitude`. examples: of training that
    derivatives are a mean over, rounded up to batches of 64; the paper takes a batch of 100 (MNIST) or 128 (CIFAR10).

    We differ: the paper draws the weights that it looks at with a variance scaled by the layer's size (Glorot and
    Bengio 2010), these are the ones that the network has. A trained network can be pruned so too. Batch norms see the
    statistics of the batch, dropout is off.
    """

    targets: list[str]
    ignore: list[str]
    ratio: float
    ratios: dict[str, float]
    scope: str
    pattern: str | None
    examples: int

    adds: ClassVar[frozenset[str]] = frozenset({"sparse"})
    refuses: ClassVar[frozenset[str]] = frozenset({"quantized"})

    def __post_init__(self) -> None:
        check_fields(self.ratio, self.ratios, self.scope)
        check_pattern(self.pattern, self.ratio, self.ratios, self.scope)
        if self.examples < 1:
            raise out_of_range("examples", self.examples, "1 or more")

    def apply(self, subject: Subject, context: Context) -> Subject:
        pattern = pattern_of(self.pattern)
        kept = kept_fractions(subject, self.targets, self.ignore, self.ratio, self.ratios, pattern)
        gradients = mean_gradients(subject.model, list(weights_of(subject.model, kept)), context, self.examples)

        def sensitivity(name: str, weight: Tensor) -> Tensor:
            return (weight * gradients[name]).abs()

        return prune_weights(subject, sensitivity, kept, self.scope, pattern)

    def fault_after(self, earlier: Sequence[Technique]) -> str | None:
        return pruned_again(self, earlier)
