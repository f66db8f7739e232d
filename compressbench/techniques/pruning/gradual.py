"""Weights with the smallest magnitude go, more and more of them while training (Zhu and Gupta 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import torch
from torch import Tensor, nn

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.objective import Hook
from compressbench.core.subject import Skipped, Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.techniques._latent import latent, latent_name
from compressbench.techniques._layers import check_ratios, ratio_by_layer
from compressbench.techniques.pruning._masked import Masked, earlier_mask
from compressbench.techniques.pruning._ranking import apportion, highest, sort_keys
from compressbench.techniques.pruning._unstructured import keep_masked


@dataclass(frozen=True)
class GradualPruning(Technique):
    """Train while the fraction of zeros of each layer rises along a cubic, fast at first, slowly at the end.

    Source: Zhu and Gupta 2017, "To prune, or not to prune: exploring the efficacy of pruning for model compression",
    equation 1. Masked weights get no gradient, but are kept and compete again at the next update, as in the authors'
    code; at the end they are zero. The network may be trained already or not.

    ratio: the fraction of zeros at the end, 0 or more and less than 1. ratios: others for some layers. initial_ratio:
    the fraction at the start. targets, ignore: what is pruned, and what is not; biases stay. begin, end: first and last
    update of the masks, as fractions of the training. frequency: steps between updates.

    We differ: the last update falls on the last multiple of `frequency` not after `end`, and always reaches `ratio`.
    """

    training: TrainingConfig
    targets: list[str]
    ignore: list[str]
    ratio: float
    ratios: dict[str, float]
    initial_ratio: float
    begin: float
    end: float
    frequency: int

    adds: ClassVar[frozenset[str]] = frozenset({"trained", "sparse"})
    refuses: ClassVar[frozenset[str]] = frozenset({"quantized"})

    def __post_init__(self) -> None:
        check_ratios(self.ratio, self.ratios)
        lowest = min(self.ratio, *self.ratios.values()) if self.ratios else self.ratio
        if not 0 <= self.initial_ratio <= lowest:
            raise out_of_range("initial_ratio", self.initial_ratio, f"0 to the ratio at the end, {lowest}")
        if not 0 <= self.begin <= 1:
            raise out_of_range("begin", self.begin, "a fraction from 0 to 1")
        if not self.begin <= self.end <= 1:
            raise out_of_range("end", self.end, f"a fraction from begin, {self.begin}, to 1")
        if self.frequency < 1:
            raise out_of_range("frequency", self.frequency, "1 or more")

    def apply(self, subject: Subject, context: Context) -> Subject:
        ratios = ratio_by_layer(subject.model, self.targets, self.ignore, self.ratio, self.ratios)
        finals = {f"{name}.weight": ratio for name, ratio in ratios.items()}
        functions = {name: Masked(earlier_mask(subject, name), False) for name in finals}
        already = {name: function.mask.bool() for name, function in functions.items()}
        updates = self.updates(context.steps(self.training))
        counter = next(iter(functions.values()))  # the first layer's counts for all

        @torch.no_grad()
        def update(model: nn.Module) -> None:
            step = int(counter.iteration)
            if step in updates:
                for name, function in functions.items():
                    zeros = sparsity(updates[step], Fraction(str(self.initial_ratio)), Fraction(str(finals[name])))
                    weight = model.get_parameter(latent_name(name))
                    function.mask.copy_(largest(weight, already[name], 1 - zeros))
            counter.iteration += 1

        with latent(subject, functions):
            subject = context.train(subject, self.training, hooks=[Hook(after_backward=update)])
            if int(counter.iteration) <= max(updates):  # a dry run, or no epochs: all at once
                counter.iteration.fill_(max(updates))
                update(subject.model)
        for name, function in functions.items():
            keep = function.mask.bool()
            if keep.numel() * (1 - finals[name]) < 0.5:
                why = f"none of its {keep.numel()} weights would stay; its best one does"
                subject.skipped.append(Skipped(name.removesuffix(".weight"), why))
            keep_masked(subject, name, keep)
        return subject

    def updates(self, steps: int) -> dict[int, Fraction]:
        """Return how far the pruning is, from 0 to 1, at each step (counted from 0) that changes the masks."""
        first, last = (round(fraction * (steps - 1)) for fraction in (self.begin, self.end))
        count = (last - first) // self.frequency
        if not count:
            return {last: Fraction(1)}
        return {first + number * self.frequency: Fraction(number, count) for number in range(count + 1)}


def sparsity(progress: Fraction, initial: Fraction, final: Fraction) -> Fraction:
    """Return the fraction of zeros when the pruning is so far: equation 1, progress being (t - t0) / (n dt)."""
    return final + (initial - final) * (1 - progress) ** 3


def largest(weight: Tensor, allowed: Tensor, fraction: Fraction) -> Tensor:
    """Return a mask, in the weight's shape, of its largest magnitudes, that fraction of all, but at least one.

    allowed: where a weight may stay at all. Of equal ones the first stay.
    """
    count = max(1, apportion([weight.numel() * fraction])[0])
    survives = highest(sort_keys(weight.abs(), allowed.bool()), count)
    return torch.from_numpy(survives).reshape(weight.shape).to(weight.device) & allowed.to(weight.device)
