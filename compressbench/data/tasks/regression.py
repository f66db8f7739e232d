"""Regression: numbers for each example."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from compressbench.core.errors import out_of_range
from compressbench.core.metric import MetricSpec
from compressbench.core.task import Inputs, Loss, tensors
from compressbench.data.tasks._shapes import wrong_shape


@dataclass(frozen=True)
class Regression:
    """Inputs float32 (n, *shape) to numbers (n, outputs); targets float32 (n, outputs).

    Scored by `mse`, the mean squared error over examples and outputs, in the units of the targets, and `r2`, the
    coefficient of determination: 1 less the squared errors over those of the mean, of all outputs together.
    We differ from scikit-learn for several outputs: it averages the r2 of each, so that one that hardly varies counts
    as much as any other.
    """

    shape: list[int]
    outputs: int = 1

    name: ClassVar[str] = "regression"
    specs: ClassVar[tuple[MetricSpec, ...]] = (
        MetricSpec("mse", "squared", higher_is_better=False, heading="MSE", format="number", limit=True),
        MetricSpec("r2", "share", higher_is_better=True, heading="R2", format="number", limit=True),
    )
    primary: ClassVar[str] = "mse"
    losses: ClassVar[Mapping[str, Loss]] = {
        "mse": functional.mse_loss,
        "mae": functional.l1_loss,
        "huber": functional.huber_loss,
    }

    def __post_init__(self) -> None:
        if not self.shape or min(self.shape) < 1:
            raise out_of_range("shape", self.shape, "numbers, each 1 or more")
        if self.outputs < 1:
            raise out_of_range("outputs", self.outputs, "1 or more")

    def example(self) -> Inputs:
        return torch.zeros(1, *self.shape)

    def random_batch(self, size: int, generator: torch.Generator) -> tuple[Inputs, Tensor]:
        """Return standard normal inputs and targets."""
        inputs = torch.randn((size, *self.shape), generator=generator)
        return inputs, torch.randn((size, self.outputs), generator=generator)

    def arguments(self) -> dict[str, Any]:
        """`features` and `in_channels` are the same: the first side of an input, which is all there is of a row."""
        return {"features": self.shape[0], "in_channels": self.shape[0], "outputs": self.outputs}

    def sums(self, outputs: Tensor, targets: Tensor, brief: bool = False) -> dict[str, Tensor]:
        """Return the number of examples and, summed over them, squared errors, targets of each output and squares."""
        wanted = targets.double()
        found = {"numbers": torch.tensor(wanted.numel()), "squared_errors": (outputs.double() - wanted).square().sum()}
        if brief:
            return found
        each = {f"target_{index}": column.sum() for index, column in enumerate(wanted.unbind(1))}
        return {**found, **each, "squares": wanted.square().sum()}

    def scores(self, sums: Mapping[str, float]) -> dict[str, float]:
        """ValueError if the targets are all the same, so that no r2 is defined."""
        found = {"mse": sums["squared_errors"] / sums["numbers"]}
        if "squares" in sums:
            examples = sums["numbers"] / self.outputs
            of_means = sum(sums[f"target_{index}"] ** 2 for index in range(self.outputs)) / examples
            spread = sums["squares"] - of_means
            if spread <= 0:
                raise ValueError("r2 is not defined: all targets are the same")
            found["r2"] = 1 - sums["squared_errors"] / spread
        return found

    def misfit(self, inputs: Inputs, targets: Tensor) -> str | None:
        finite = all(bool(each.isfinite().all()) for each in (*tensors(inputs), targets))
        return None if finite else "holds a number that is not finite"

    def fault(self, outputs: Any, examples: int = 1) -> str | None:
        return wrong_shape(outputs, (examples, self.outputs), "a number for each output")
