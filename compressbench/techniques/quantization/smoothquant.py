"""Outliers of activations are moved into the weights that read them (Xiao et al. 2023)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.subject import Skipped, Subject
from compressbench.core.task import feed, moved
from compressbench.core.technique import Technique
from compressbench.techniques._layer_sums import CALIBRATION_BATCH
from compressbench.techniques._layers import names_in, select
from compressbench.techniques.quantization._channels import Channels, channels_of, reading, released, rows_of, scale

SMALLEST = 1e-5
"""Of a factor, as in the authors' code."""


@dataclass(frozen=True)
class SmoothQuant(Technique):
    """Divide each channel of a layer norm by s and multiply the weights that read it by s; the function stays.

    Source: Xiao et al. 2023, "SmoothQuant: Accurate and Efficient Post-Training Quantization for Large Language
    Models", section 4. s = max|x|^alpha / max|w|^(1 - alpha) of each channel, over calibration examples and over all
    layers that read it (Eq. 4). It is for int8 weights and activations, `quantization/ptq_int8`, behind it.

    targets, ignore: linear layers; a layer norm is smoothed if all that reads it are linear layers chosen here. alpha:
    how much of the range the weights take over, 0 (none but their own) to 1 (all). examples: calibration examples,
    rounded up to batches of 64.
    """

    targets: list[str]
    ignore: list[str]
    alpha: float
    examples: int

    needs: ClassVar[frozenset[str]] = frozenset({"trained"})
    adds: ClassVar[frozenset[str]] = frozenset({"equalized"})
    refuses: ClassVar[frozenset[str]] = frozenset({"quantized"})

    def __post_init__(self) -> None:
        if not 0 <= self.alpha <= 1:
            raise out_of_range("alpha", self.alpha, "0 to 1")
        if self.examples < 1:
            raise out_of_range("examples", self.examples, "1 or more")

    @torch.no_grad()
    def apply(self, subject: Subject, context: Context) -> Subject:
        """Raises ValueError if there is nothing to smooth, or a layer that a selector names exactly reads none."""
        model = subject.model.eval()
        chosen = set(select(model, self.targets, self.ignore, ("linear",)))
        norms = [name for name, each in model.named_modules() if isinstance(each, nn.LayerNorm) and _plain(each)]
        found, obstacles = channels_of(model, norms, context.example)
        smoothed = [channels for channels in found if set(channels.readers) <= chosen and not channels.between]
        left = sorted(chosen - {reader for channels in smoothed for reader in channels.readers})
        if named := sorted(names_in(self.targets) & set(left)):
            raise ValueError(f"{named[0]} does not read a layer norm that linear layers among the targets read alone")
        if not smoothed:
            why = "; ".join(f"{name}: {why}" for name, why in obstacles.items()) or "it has none with a scale"
            raise ValueError(f"{type(model).__name__} has no layer norm that can be smoothed ({why})")
        subject.skipped += [Skipped(name, "it reads no layer norm that can be smoothed") for name in left]
        largest = self._largest(model, [channels.layer for channels in smoothed], context)
        for channels in smoothed:
            scale(model, channels, self.factors(largest[channels.layer], _weights(model, channels)))
            released(subject, channels)
        return subject

    def factors(self, inputs: Tensor, weights: Tensor) -> Tensor:
        """Return s of each channel from the largest |x| and the largest |w|; 1 where one is zero."""
        found = inputs.pow(self.alpha) / weights.pow(1 - self.alpha)
        return torch.where((inputs > 0) & (weights > 0), found.clamp(min=SMALLEST), torch.ones_like(found))

    def _largest(self, model: nn.Module, names: list[str], context: Context) -> dict[str, Tensor]:
        """Return the largest |x| of each channel that comes out of these modules on calibration examples."""
        found: dict[str, Tensor] = {}

        def watch(name: str) -> torch.utils.hooks.RemovableHandle:
            def look(_: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
                seen = output.abs().flatten(0, -2).amax(0)
                found[name] = torch.maximum(found.get(name, seen), seen)

            return model.get_submodule(name).register_forward_hook(look)

        hooks = [watch(name) for name in names]
        try:
            for given, _ in context.calibration(CALIBRATION_BATCH, -(-self.examples // CALIBRATION_BATCH)):
                feed(model, moved(given, next(model.parameters()).device))
        finally:
            for hook in hooks:
                hook.remove()
        return found


def _plain(norm: nn.LayerNorm) -> bool:
    return norm.elementwise_affine and len(norm.normalized_shape) == 1


def _weights(model: nn.Module, channels: Channels) -> Tensor:
    """Return the largest |w| that reads each channel."""

    def views() -> Iterator[Tensor]:
        for name in channels.readers:
            view = reading(model.get_submodule(name), rows_of(model, channels.layer))
            assert view is not None
            yield view

    return torch.stack([view.abs().flatten(1).amax(1) for view in views()]).amax(0)
