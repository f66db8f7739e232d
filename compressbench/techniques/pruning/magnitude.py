"""Weights with the smallest magnitude go (Han et al. 2015)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from compressbench.core.context import Context
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.techniques.pruning._patterns import check_pattern, pattern_of
from compressbench.techniques.pruning._unstructured import (
    check_fields,
    check_rounds,
    kept_fractions,
    magnitude,
    prune_in_rounds,
    pruned_again,
)


@dataclass(frozen=True)
class MagnitudePruning(Technique):
    """Set the weights with the smallest absolute values to zero, and keep them there.

    Source: Han et al. 2015, "Learning both Weights and Connections for Efficient Neural Networks". The
    survey (Choudhary et al. 2020, section 6) prunes once, 60 % of conv and 70 % of linear weights, each kind sorted
    as a whole: `scope: per_kind, ratios: {conv: 0.6, linear: 0.7}`.

    ratio: fraction of weights set to zero, 0 or more and less than 1. ratios: other ratios for some layers.
    targets, ignore: what is pruned, and what is not. scope: which weights compete for one threshold: those of each
    layer (`per_layer`), of each kind (`per_kind`), or all (`global`). rounds: steps in which the fraction that stays
    falls geometrically, retrained in between. retrain: that training; needed for more than one round. Biases stay.
    pattern: null for zeros anywhere, or where they lie (`_patterns`): `"2:4"`, the largest 2 of every 4 neighbouring
    input channels, with ratio 0.5; or `4x4`, blocks that go or stay as a whole, by the sum of their magnitudes (Mao et
    al. 2017). A layer whose channels do not divide into it is left out.

    We differ: Han et al. set thresholds from the standard deviation of each layer, freeze convolutions and fully
    connected layers in turn, and scale dropout; here the number of zeros is exact (`_unstructured`).
    """

    targets: list[str]
    ratio: float
    ratios: dict[str, float]
    ignore: list[str]
    scope: str
    rounds: int
    retrain: TrainingConfig | None
    pattern: str | None = None

    needs: ClassVar[frozenset[str]] = frozenset({"trained"})
    adds: ClassVar[frozenset[str]] = frozenset({"sparse"})
    refuses: ClassVar[frozenset[str]] = frozenset({"quantized"})

    def __post_init__(self) -> None:
        check_fields(self.ratio, self.ratios, self.scope)
        check_rounds(self.rounds, self.retrain)
        check_pattern(self.pattern, self.ratio, self.ratios, self.scope, self.rounds)

    def apply(self, subject: Subject, context: Context) -> Subject:
        pattern = pattern_of(self.pattern)
        kept = kept_fractions(subject, self.targets, self.ignore, self.ratio, self.ratios, pattern)
        return prune_in_rounds(
            subject, context, lambda _: magnitude, kept, self.scope, self.rounds, self.retrain, pattern
        )

    def fault_after(self, earlier: Sequence[Technique]) -> str | None:
        return pruned_again(self, earlier)
