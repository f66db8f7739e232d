"""Weights of one layer share a few values, found by k-means (Han et al. 2016)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch

from compressbench.core.constraint import Mask, Shared
from compressbench.core.context import Context
from compressbench.core.errors import out_of_range, suggestion
from compressbench.core.format import PRUNED, Codebook
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.techniques._layers import SINGLE, value_by_layer, weights_of
from compressbench.techniques.sharing import _kmeans
from compressbench.techniques.sharing._precision import PRECISIONS, rounded

OPTIMAL = "optimal"
INITIALISATIONS = (OPTIMAL, "linear", "density", "random")
MOST_BITS = 8


@dataclass(frozen=True)
class SharedWeights(Technique):
    """Replace the weights of each layer by 2^bits values at most, in each layer its own, and keep them shared.

    Source: Han et al. 2016, "Deep Compression", section 3: k-means on the weights that pruning left; zeros stay zeros
    and take no centroid. Afterwards assignments are fixed (`core.constraint.Shared`).

    targets, ignore: what is shared, and what is not. bits: of an index, 1 to 8; bits_by_layer: other bits for some
    layers. initialisation: `optimal`, the least squared error there is (`_kmeans`); `linear`, `density`, `random`:
    section 3.2. iterations: of Lloyd's algorithm after that, at most. bias_bits: the same for the biases of those
    layers, each with a code book of its own; null leaves them as they are. centroid_precision: `fp32`, or `fp16` for
    values that half precision can say, which the file stores in 2 bytes each.

    We differ: the paper starts from `linear`; its biases stay as they are.
    """

    targets: list[str]
    ignore: list[str]
    bits: int
    bits_by_layer: dict[str, int]
    initialisation: str
    iterations: int
    bias_bits: int | None
    centroid_precision: str

    needs: ClassVar[frozenset[str]] = frozenset({"trained"})
    adds: ClassVar[frozenset[str]] = frozenset({"quantized", "shared"})
    refuses: ClassVar[frozenset[str]] = frozenset({"quantized"})

    def __post_init__(self) -> None:
        all_bits = {f"bits_by_layer.{selector}": bits for selector, bits in self.bits_by_layer.items()}
        for key, bits in {"bits": self.bits, **all_bits, "bias_bits": self.bias_bits}.items():
            if bits is not None and not 1 <= bits <= MOST_BITS:
                raise out_of_range(key, bits, f"1 to {MOST_BITS}" + (", or null" if key == "bias_bits" else ""))
        if self.iterations < 0:
            raise out_of_range("iterations", self.iterations, "0 or more")
        for key, allowed in (("initialisation", INITIALISATIONS), ("centroid_precision", PRECISIONS)):
            value = getattr(self, key)
            if value not in allowed:
                raise ValueError(f"{key} is {value!r}; {suggestion(value, allowed)}")

    def apply(self, subject: Subject, context: Context) -> Subject:
        """Raises ValueError for a selector that matches nothing, and for weights that are infinite or not a number."""
        model = subject.model
        chosen = value_by_layer(
            model, self.targets, self.ignore, self.bits, self.bits_by_layer, "bits_by_layer", SINGLE
        )
        weights = weights_of(model, chosen)
        for name, bits in chosen.items():
            for weight in (weight for weight, layer in weights.items() if layer == name):
                self._share(subject, weight, bits, context.generator)
            for bias, _ in model.get_submodule(name).named_parameters(recurse=False):
                if self.bias_bits is not None and "bias" in bias:
                    self._share(subject, f"{name}.{bias}", self.bias_bits, context.generator)
        return subject

    @torch.no_grad()
    def _share(self, subject: Subject, parameter: str, bits: int, generator: torch.Generator) -> None:
        weight = subject.model.get_parameter(parameter)
        there = _present(subject, parameter)
        numbers = weight[there].cpu().numpy()
        centroids, groups = self._clustered(numbers, 2**bits, generator)
        weight[there] = torch.from_numpy(centroids[groups]).to(weight.device)
        assignment = torch.full(weight.shape, -1, dtype=torch.int16, device=weight.device)
        assignment[there] = torch.from_numpy(groups.astype(np.int16)).to(weight.device)
        subject.constrain(Shared(parameter, assignment))
        subject.store(parameter, Codebook(bits))

    def _clustered(
        self, numbers: npt.NDArray[np.float32], k: int, generator: torch.Generator
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.integer[Any]]]:
        """Return at most k centroids, and the index of each number's own."""
        if not len(numbers):
            return np.zeros(0, np.float32), np.zeros(0, np.int16)
        points = _kmeans.Points.of(numbers)
        if self.initialisation == OPTIMAL:
            start = _kmeans.optimal(points, k)
        elif self.initialisation == "random":
            start = _kmeans.chosen(points, torch.rand(k, generator=generator, dtype=torch.float64).numpy())
        else:
            start = (_kmeans.linear if self.initialisation == "linear" else _kmeans.density)(points, k)
        found = _kmeans.lloyd(points, start, self.iterations).astype(np.float32)
        centroids = rounded(torch.from_numpy(found), self.centroid_precision).numpy()
        return centroids, _kmeans.assigned(numbers, points, centroids)


def _present(subject: Subject, parameter: str) -> torch.Tensor:
    """Return which weights are to be shared: in a pruned tensor those that are not zero, and a mask keeps it so."""
    weight = subject.model.get_parameter(parameter)
    if subject.mask(parameter) is None and not isinstance(subject.format_of(parameter), PRUNED):
        return torch.ones_like(weight, dtype=torch.bool)
    there = weight != 0
    subject.constrain(Mask(parameter, there))
    return there
