"""Weights with the smallest magnitude go (Han et al. 2015)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import torch

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.techniques.pruning._unstructured import check_fields, kept_fractions, prune_weights, pruned_again


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

    needs: ClassVar[frozenset[str]] = frozenset({"trained"})
    adds: ClassVar[frozenset[str]] = frozenset({"sparse"})
    refuses: ClassVar[frozenset[str]] = frozenset({"quantized"})

    def __post_init__(self) -> None:
        check_fields(self.ratio, self.ratios, self.scope)
        if self.rounds < 1:
            raise out_of_range("rounds", self.rounds, "1 or more")
        if self.rounds > 1 and self.retrain is None:
            raise ValueError(f"retrain is None with rounds {self.rounds!r}; say how to train between the rounds")

    def apply(self, subject: Subject, context: Context) -> Subject:
        final = kept_fractions(subject.model, self.targets, self.ignore, self.ratio, self.ratios)
        for number in range(1, self.rounds + 1):
            last = number == self.rounds
            step = final if last else {n: Fraction(float(kept) ** (number / self.rounds)) for n, kept in final.items()}
            subject = prune_weights(subject, torch.abs, step, self.scope)
            if not last:
                assert self.retrain is not None
                subject = context.train(subject, self.retrain)
        return subject

    def fault_after(self, earlier: Sequence[Technique]) -> str | None:
        return pruned_again(self, earlier)
