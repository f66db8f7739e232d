"""A hash of its place says which of a few shared values a weight has (Chen et al. 2015)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range, suggestion
from compressbench.core.format import Hashed
from compressbench.core.hashing import places
from compressbench.core.subject import Skipped, Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.techniques._latent import latent
from compressbench.techniques._layers import layers_of, select
from compressbench.techniques.quantization._freeze import freeze

INITS = ("least_squares", "random")


@dataclass(frozen=True)
class HashedNets(Technique):
    """Train the values of a few buckets that all weights of a layer share: V_ij = sign(i, j) w_h(i, j).

    Source: Chen et al. 2015, "Compressing Neural Networks with the Hashing Trick", equations 3 and 7 (the sign) and 12
    (the gradient of a bucket: the sum over its weights, with their signs). Bucket and sign are xxHash32 of the
    weight's place (`core.hashing`), with another seed in each layer, so that only the values are stored.

    compression: the fraction of a layer's weights that its buckets are, more than 0 and less than 1. targets, ignore:
    what is hashed, and what is not. seed: where the hashes of the first layer start. init: the buckets start at the
    mean of the weights they replace, signs taken off (`least_squares`, for a trained network), or anew (`random`:
    uniform up to 1 / sqrt(fan-in), torch's default).

    We differ: convolutions are hashed too, and biases are not. A later training leaves the hashed weights as they are.
    """

    training: TrainingConfig
    targets: list[str]
    ignore: list[str]
    compression: float
    seed: int
    init: str

    adds: ClassVar[frozenset[str]] = frozenset({"trained", "quantized"})
    refuses: ClassVar[frozenset[str]] = frozenset({"sparse", "quantized"})

    def __post_init__(self) -> None:
        if not 0 < self.compression < 1:
            raise out_of_range("compression", self.compression, "more than 0 and less than 1")
        if not 0 <= self.seed < 2**30:
            raise out_of_range("seed", self.seed, "0 or more and less than 2^30")
        if self.init not in INITS:
            raise ValueError(f"init is {self.init!r}; {suggestion(self.init, INITS)}")

    def apply(self, subject: Subject, context: Context) -> Subject:
        forms = self._forms(subject)
        functions: dict[str, nn.Module] = {}
        for name, form in forms.items():
            weight = subject.model.get_parameter(name).detach()
            values = self._values(weight, form, context.generator)
            functions[name] = Buckets(weight.shape, form, values.to(weight.device))
        with latent(subject, functions):
            subject = context.train(subject, self.training)
        for name, form in forms.items():
            freeze(subject, name, form)
        return subject

    def _forms(self, subject: Subject) -> Mapping[str, Hashed]:
        """Return the format of each hashed parameter. ValueError if every layer is left out."""
        numbers = {name: number for number, name in enumerate(layers_of(subject.model))}
        forms = {}
        for name, layer in select(subject.model, self.targets, self.ignore).items():
            count = layer.get_parameter("weight").numel()
            buckets = max(1, round(self.compression * count))
            if buckets >= count:
                subject.skipped.append(Skipped(name, f"its {count} weights would need {buckets} buckets"))
                continue
            forms[f"{name}.weight"] = Hashed(buckets, self.seed + numbers[name])
        return forms

    def _values(self, weight: Tensor, form: Hashed, generator: torch.Generator) -> Tensor:
        if self.init == "least_squares":
            return least_squares(weight, form)
        return (2 * torch.rand(form.buckets, generator=generator) - 1) / math.sqrt(math.prod(weight.shape[1:]))


class Buckets(nn.Module):
    """Makes a tensor of shared values; the tensor it is given counts for its shape alone.

    values: (buckets,), trained. index, sign: bucket and sign of every element, flat.
    """

    index: Tensor
    sign: Tensor

    def __init__(self, shape: tuple[int, ...], form: Hashed, values: Tensor):
        super().__init__()
        index, sign = (
            torch.from_numpy(each).to(values.device) for each in places(tuple(shape), form.buckets, form.seed)
        )
        self.values = nn.Parameter(values)
        self.register_buffer("index", index.to(torch.int32))
        self.register_buffer("sign", sign)

    def forward(self, weight: Tensor) -> Tensor:
        return (self.values.index_select(0, self.index) * self.sign).view(weight.shape)


def least_squares(weight: Tensor, form: Hashed) -> Tensor:
    """Return the values (buckets,) that come nearest to the weights: of each bucket the mean, signs taken off."""
    index, sign = (torch.from_numpy(each).to(weight.device) for each in places(weight.shape, form.buckets, form.seed))
    sums = weight.new_zeros(form.buckets).index_add_(0, index, weight.flatten() * sign)
    counts = weight.new_zeros(form.buckets).index_add_(0, index, sign.abs())
    return sums / counts.clamp(min=1)
