"""A split held in memory as tensors of any shape and type, as they go into the network."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from compressbench.core.errors import out_of_range
from compressbench.core.task import Inputs, moved, tensors
from compressbench.data._selection import balanced, epoch_length


class TensorSplit:
    """inputs: one tensor, or a tuple of them. targets: as the task says. Their first dimension counts the examples."""

    def __init__(self, inputs: Inputs, targets: Tensor):
        assert {len(each) for each in tensors(inputs)} == {len(targets)}, [each.shape for each in tensors(inputs)]
        self.inputs, self.targets = inputs, targets

    def __len__(self) -> int:
        return len(self.targets)

    def limit(self, examples: int) -> TensorSplit:
        """Return a split of so many of the examples, all if there are fewer: labels in proportion, else every k-th."""
        if examples >= len(self):
            return self
        labels = self.targets.cpu()
        if labels.ndim != 1 or labels.is_floating_point():
            labels = torch.zeros(len(self), dtype=torch.int64)
        chosen = torch.from_numpy(balanced(labels.numpy(), examples)).to(self.targets.device)
        return TensorSplit(_rows(self.inputs, chosen), self.targets[chosen])

    def to(self, device: torch.device) -> TensorSplit:
        """Return a split that lies on `device` and makes the same batches there, from the same generators."""
        if device == self.targets.device:
            return self
        return TensorSplit(moved(self.inputs, device), self.targets.to(device))

    def batches(
        self, batch_size: int, generator: torch.Generator | None = None, augmented: bool = True
    ) -> Iterator[tuple[Inputs, Tensor]]:
        """Yield batches as `core.data.Split` says; nothing is augmented. ValueError for a batch size below 1."""
        if batch_size < 1:
            raise out_of_range("batch_size", batch_size, "1 or more")
        if generator is None:
            order = torch.arange(len(self))
        else:
            order = torch.randperm(len(self), generator=generator)[: epoch_length(len(self), batch_size)]
        return self._chosen(torch.split(order.to(self.targets.device), batch_size))

    def _chosen(self, parts: tuple[Tensor, ...]) -> Iterator[tuple[Inputs, Tensor]]:
        for rows in parts:
            yield _rows(self.inputs, rows), self.targets[rows]


def _rows(inputs: Inputs, rows: Tensor) -> Inputs:
    return tuple(each[rows] for each in inputs) if isinstance(inputs, tuple) else inputs[rows]
