"""A split read example by example from a map-style `torch.utils.data.Dataset`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from compressbench.core.errors import Fault, PlanError, out_of_range
from compressbench.core.task import Inputs, Task, tensors, unlike
from compressbench.data._selection import epoch_length
from compressbench.data.preparing import prepared
from compressbench.data.tensors import TensorSplit

READ_AT_ONCE = 256
Example = tuple[tuple[Tensor, ...], Tensor]


class MappedSplit:
    """chosen: which of `examples`, each (inputs, target), belong to it. where: what to call it in errors.

    The batches depend on the generator's state, never on the number of `workers` (0: this process reads): before an
    example is read, torch's random state is set by a seed of its own, drawn from the generator; so random
    transformations are new in every epoch. Without a generator the seed is the example's number.
    """

    def __init__(self, examples: Any, chosen: Sequence[int], task: Task, where: str, workers: int = 0):
        self.examples, self.chosen, self.task = examples, list(chosen), task
        self.where, self.workers = where, workers

    def __len__(self) -> int:
        return len(self.chosen)

    def limit(self, examples: int) -> MappedSplit:
        """Return a split of so many of the examples, evenly spaced; all if there are fewer."""
        if examples >= len(self):
            return self
        chosen = [self.chosen[number * len(self) // examples] for number in range(examples)]
        return MappedSplit(self.examples, chosen, self.task, self.where, self.workers)

    def to(self, device: torch.device) -> MappedSplit:
        """Return this split: its batches are made in main memory."""
        return self

    def batches(
        self, batch_size: int, generator: torch.Generator | None = None, augmented: bool = True
    ) -> Iterator[tuple[Inputs, Tensor]]:
        """Yield batches as `core.data.Split` says. PlanError, naming the example, for one that does not fit."""
        if batch_size < 1:
            raise out_of_range("batch_size", batch_size, "1 or more")
        order, seeds = self.chosen, self.chosen
        if generator is not None:
            used = epoch_length(len(self), batch_size)
            order = [self.chosen[place] for place in torch.randperm(len(self), generator=generator)[:used].tolist()]
            drawn = torch.randint(2**62, (used,), generator=generator).tolist()
            seeds = drawn if augmented else order
        return self._read(order, seeds, batch_size)

    def _read(self, order: list[int], seeds: list[int], batch_size: int) -> Iterator[tuple[Inputs, Tensor]]:
        loader = DataLoader(
            _Fitted(self.examples, order, seeds, self.task),
            batch_size=batch_size,
            num_workers=min(self.workers, -(-len(order) // batch_size)),
            collate_fn=_stack,
            generator=torch.Generator(),  # else the loader draws from the global one
        )
        for batch in loader:
            if isinstance(batch, Fault):
                raise PlanError([Fault(f"{self.where}, {batch.where}", batch.what)])
            inputs, targets = batch
            yield (inputs if isinstance(self.task.example(), tuple) else inputs[0]), targets

    def in_memory(self) -> TensorSplit:
        """Return all examples as they are read now. PlanError for one that does not fit."""
        inputs, targets = zip(*self.batches(READ_AT_ONCE), strict=True)
        columns = tuple(torch.cat(column) for column in zip(*map(tensors, inputs), strict=True))
        return TensorSplit(columns if isinstance(self.task.example(), tuple) else columns[0], torch.cat(targets))


class _Fitted(TorchDataset[Any]):
    """Reads one example at a time, with a random state of its own; what does not fit comes back as its Fault."""

    def __init__(self, examples: Any, order: list[int], seeds: list[int], task: Task):
        self.examples, self.order, self.seeds, self.task = examples, order, seeds, task
        self.like = task.random_batch(1, torch.Generator())

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, place: int) -> Example | Fault:
        number, before = self.order[place], torch.get_rng_state()
        try:
            torch.default_generator.manual_seed(self.seeds[place])
            found = _tensors(self.examples[number], self.task, self.like)
        except Exception as error:  # a dataset is somebody's code
            return Fault(f"example {number}", f"{type(error).__name__}: {error}")
        finally:
            torch.set_rng_state(before)
        return Fault(f"example {number}", found) if isinstance(found, str) else found


def _tensors(example: Any, task: Task, like: tuple[Inputs, Tensor]) -> Example | str:
    """Return an example's inputs and target as the task has them, in a batch `like` this, or what is wrong with it."""
    if not isinstance(example, tuple | list) or len(example) != 2:
        return f"is a {type(example).__name__}; a pair (inputs, target) is needed"
    given, answer = example
    expected, made, several = tensors(like[0]), like[1][0], isinstance(like[0], tuple)
    parts = tuple(given) if several and isinstance(given, tuple | list) else (given,)
    if len(parts) != len(expected):
        return f"has {len(parts)} inputs; the task takes {len(expected)}"
    inputs = tuple(_tensor(part, like.dtype, task) for part, like in zip(parts, expected, strict=True))
    target = _tensor(answer, made.dtype, task)
    target = target.reshape(made.shape) if target.numel() == made.numel() == 1 else target
    batch = tuple(part[None] for part in inputs)
    return unlike(task, batch if several else batch[0], target[None], like) or (inputs, target)


def _tensor(value: Any, dtype: torch.dtype, task: Task) -> Tensor:
    """Return a tensor of the type if it holds numbers of that kind, else as it is. Pictures as the task says."""
    preprocessing = getattr(task, "preprocessing", None)
    if isinstance(value, Image.Image) and preprocessing is not None:
        return prepared(value, preprocessing)[0]
    found = torch.as_tensor(numpy.asarray(value) if isinstance(value, Image.Image) else value)
    return found.to(dtype) if found.is_floating_point() == dtype.is_floating_point else found


def _stack(examples: list[Example | Fault]) -> tuple[tuple[Tensor, ...], Tensor] | Fault:
    """Return the batch, or the first example that does not fit."""
    found = []
    for example in examples:
        if isinstance(example, Fault):
            return example
        found.append(example)
    columns = zip(*(inputs for inputs, _ in found), strict=True)
    return tuple(torch.stack(column) for column in columns), torch.stack([target for _, target in found])
