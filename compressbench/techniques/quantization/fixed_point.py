"""Weights as fixed-point numbers (Gupta et al. 2015)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range, suggestion
from compressbench.core.format import FixedPoint
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.techniques._latent import latent
from compressbench.techniques._layers import select
from compressbench.techniques.quantization._batch_norm_reestimation import measure_again
from compressbench.techniques.quantization._fixed_point import FEWEST, MOST, FixedPointNumbers, finest, to_fixed_point
from compressbench.techniques.quantization._freeze import freeze

ROUNDINGS = ("nearest", "stochastic")


@dataclass(frozen=True)
class FixedPointQuantization(Technique):
    """A weight is an integer of `bits` bits, two's complement, times 2^-fraction_bits; what lies beyond is cut.

    Source: Gupta et al. 2015, "Deep Learning with Limited Numerical Precision", section 3.

    bits: 2 to 16. fraction_bits: null chooses for each tensor the most with which its largest value fits.
    rounding: `nearest`, or `stochastic`: up or down with a probability that makes the mean right. biases: whether those
    of the layers are rounded too. retrain: a training that sees rounded weights while latent ones are updated, straight
    through; null rounds once. With stochastic rounding each of its passes draws anew, the end is to the nearest, and
    the running statistics of batch normalisation, which saw noise, are measured again for it.
    targets, ignore: what is rounded, and what is not.

    We differ: Gupta et al. also round activations and the updates, so that no latent weights are needed.
    """

    targets: list[str]
    ignore: list[str]
    bits: int
    fraction_bits: int | None
    rounding: str
    biases: bool
    retrain: TrainingConfig | None

    needs: ClassVar[frozenset[str]] = frozenset({"trained"})
    version: ClassVar[int] = 2
    adds: ClassVar[frozenset[str]] = frozenset({"quantized"})
    refuses: ClassVar[frozenset[str]] = frozenset({"quantized"})

    def __post_init__(self) -> None:
        if not 2 <= self.bits <= 16:
            raise out_of_range("bits", self.bits, "2 to 16")
        if self.fraction_bits is not None and not FEWEST <= self.fraction_bits <= MOST:
            raise out_of_range("fraction_bits", self.fraction_bits, f"{FEWEST} to {MOST}, or null")
        if self.rounding not in ROUNDINGS:
            raise ValueError(f"rounding is {self.rounding!r}; {suggestion(self.rounding, ROUNDINGS)}")

    def apply(self, subject: Subject, context: Context) -> Subject:
        formats = self._formats(subject)
        if self.retrain is None:
            self._round(subject, formats, context.generator)
        else:
            stochastic = self.rounding == "stochastic"
            with latent(
                subject, {n: FixedPointNumbers(f.bits, f.fraction_bits, stochastic) for n, f in formats.items()}
            ):
                subject = context.train(subject, self.retrain)
        for name, form in formats.items():
            freeze(subject, name, form)
        if self.retrain is not None and self.rounding == "stochastic":
            measure_again(subject, context, self.retrain.batch_size)
        return subject

    def _formats(self, subject: Subject) -> dict[str, FixedPoint]:
        """Return the format of each tensor; biases come first, so that `latent` puts them back behind the weights."""
        layers = select(subject.model, self.targets, self.ignore)
        biased = [f"{name}.bias" for name, layer in layers.items() if getattr(layer, "bias", None) is not None]
        names = [*(biased if self.biases else []), *(f"{name}.weight" for name in layers)]
        formats = {}
        for name in names:
            values = subject.model.get_parameter(name).detach()
            formats[name] = FixedPoint(
                self.bits, finest(values, self.bits) if self.fraction_bits is None else self.fraction_bits
            )
        return formats

    @torch.no_grad()
    def _round(self, subject: Subject, formats: dict[str, FixedPoint], generator: torch.Generator) -> None:
        for name, form in formats.items():
            values = subject.model.get_parameter(name)
            stochastic = self.rounding == "stochastic"
            values.copy_(to_fixed_point(values, form.bits, form.fraction_bits, stochastic, generator))
