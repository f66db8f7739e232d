"""Weights go whose absence changes the loss least, by the diagonal of its second derivatives (LeCun et al. 1990)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.techniques._layers import weights_of
from compressbench.techniques.pruning._loss_gradients import mean_squared_gradients
from compressbench.techniques.pruning._patterns import check_pattern, pattern_of
from compressbench.techniques.pruning._unstructured import (
    Score,
    check_fields,
    check_rounds,
    kept_fractions,
    prune_in_rounds,
    pruned_again,
)


@dataclass(frozen=True)
class OptimalBrainDamage(Technique):
    """Set the weights with the least saliency h w^2 / 2 to zero, h being the second derivative of the loss.

    Source: LeCun et al. 1990, "Optimal Brain Damage", equation 5 and the recipe of section 2.3: saliencies, the
    lowest go, train on, again.

    targets, ignore: what is pruned, and what is not; biases stay. ratio: fraction of weights set to zero, 0 or more and
    less than 1; ratios: others for some layers. scope, rounds, retrain, pattern: as in `pruning/magnitude`; saliencies
    are computed anew in each round. examples: of training that h is a mean over, rounded up to batches of 64, each with
    a backward pass of its own.

    We differ: h is the mean of the squared gradient of each example's loss (the diagonal of the empirical Fisher
    information), as later authors have it; the paper's Gauss-Newton diagonal, by a second backward pass that leaves out
    what lies beside the diagonal, is its expectation where answers are as likely as the network says.
    """

    targets: list[str]
    ignore: list[str]
    ratio: float
    ratios: dict[str, float]
    scope: str
    rounds: int
    retrain: TrainingConfig | None
    pattern: str | None
    examples: int

    needs: ClassVar[frozenset[str]] = frozenset({"trained"})
    adds: ClassVar[frozenset[str]] = frozenset({"sparse"})
    refuses: ClassVar[frozenset[str]] = frozenset({"quantized"})

    def __post_init__(self) -> None:
        check_fields(self.ratio, self.ratios, self.scope)
        check_rounds(self.rounds, self.retrain)
        check_pattern(self.pattern, self.ratio, self.ratios, self.scope, self.rounds)
        if self.examples < 1:
            raise out_of_range("examples", self.examples, "1 or more")

    def apply(self, subject: Subject, context: Context) -> Subject:
        pattern = pattern_of(self.pattern)
        kept = kept_fractions(subject, self.targets, self.ignore, self.ratio, self.ratios, pattern)

        def saliencies(subject: Subject) -> Score:
            names = list(weights_of(subject.model, kept))
            curvatures = mean_squared_gradients(subject.model, names, context, self.examples)

            def saliency(name: str, weight: Tensor) -> Tensor:
                return curvatures[name] * weight.square() / 2

            return saliency

        return prune_in_rounds(subject, context, saliencies, kept, self.scope, self.rounds, self.retrain, pattern)

    def fault_after(self, earlier: Sequence[Technique]) -> str | None:
        return pruned_again(self, earlier)
