"""Task: what goes into a network, what comes out, and how that is scored. Owned by the dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from compressbench.core.metric import MetricSpec

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Inputs: TypeAlias = "Tensor | tuple[Tensor, ...]"
"""What a network is called with: one tensor, or several. The first dimension of each counts the examples."""
Loss: TypeAlias = "Callable[[Tensor, Tensor], Tensor]"
"""From outputs and targets of a batch to one number, a mean, through which gradients flow."""
if not TYPE_CHECKING:  # so that the types of a task's fields can be read anywhere, without torch
    Inputs = Loss = Any

SAID = ("in_channels", "classes", "vocabulary", "context", "length", "features", "outputs")
"""What tasks say of their data, which no one who names a network need write: see `Task.arguments`."""


class Task(Protocol):
    """A frozen dataclass whose fields say the shapes. Nothing in it reads data."""

    @property
    def name(self) -> str:
        """What it is called: `image_classification`."""
        ...

    @property
    def specs(self) -> tuple[MetricSpec, ...]:
        """The metrics it scores a split by, the primary one first."""
        ...

    @property
    def primary(self) -> str:
        """The name of the metric by which networks are chosen and compared: `top1`."""
        ...

    @property
    def losses(self) -> Mapping[str, Loss]:
        """The losses a training may minimise, by name; the first is the task's own. Outputs come as float32."""
        ...

    def example(self) -> Inputs:
        """Return zeros, a batch of one."""
        ...

    def random_batch(self, size: int, generator: torch.Generator) -> tuple[Inputs, Tensor]:
        """Return made-up inputs and targets of so many examples: what the shapes and ranges allow, and no more."""
        ...

    def arguments(self) -> dict[str, Any]:
        """Return what a network may take from the data, by the names of its parameters (`in_channels`, `classes`)."""
        ...

    def sums(self, outputs: Tensor, targets: Tensor, brief: bool = False) -> dict[str, Tensor]:
        """Return numbers of a batch from which, added over batches, `scores` makes the metrics; tensors where `outputs`
        lie, so that nobody waits for them. brief: only what the primary metric takes."""
        ...

    def scores(self, sums: Mapping[str, float]) -> dict[str, float]:
        """Return the metrics of a split, by name, from the added sums: all, or the primary one if they are brief."""
        ...

    def misfit(self, inputs: Inputs, targets: Tensor) -> str | None:
        """Return why examples of the right shapes are none of the task (`holds the label 10, ...`), or None."""
        ...

    def fault(self, outputs: Any, examples: int = 1) -> str | None:
        """Return why what a network gives for so many examples does not fit (`gives a tuple, ...`), or None."""
        ...


def feed(model: nn.Module, inputs: Inputs) -> Any:
    """Return what a network makes of a batch; of several tensors each is an argument of its own."""
    return model(*inputs) if isinstance(inputs, tuple) else model(inputs)


def moved(inputs: Inputs, device: torch.device | str) -> Inputs:
    """Return inputs on a device."""
    return tuple(each.to(device) for each in inputs) if isinstance(inputs, tuple) else inputs.to(device)


def tensors(inputs: Inputs) -> tuple[Tensor, ...]:
    """Return inputs as a tuple, even of one."""
    return inputs if isinstance(inputs, tuple) else (inputs,)


def first(inputs: Inputs, examples: int) -> Inputs:
    """Return the first so many examples of a batch."""
    return tuple(each[:examples] for each in inputs) if isinstance(inputs, tuple) else inputs[:examples]


def random_like(example: Inputs, size: int, generator: torch.Generator) -> Inputs:
    """Return a made-up batch of so many examples: standard normal numbers; of whole ones 0 and 1, which all
    vocabularies have. For what only looks at shapes and times: what a task allows is `Task.random_batch`."""
    import torch

    found = tuple(
        torch.randn((size, *each.shape[1:]), generator=generator).to(each.dtype)
        if each.is_floating_point()
        else torch.randint(2, (size, *each.shape[1:]), generator=generator).to(each.dtype)
        for each in tensors(example)
    )
    return found if isinstance(example, tuple) else found[0]


def shapes(inputs: Inputs) -> str:
    """Return the shapes of one example in words: `3 x 32 x 32`, `128 and 128`."""
    return " and ".join(" x ".join(map(str, each.shape[1:])) or "1" for each in tensors(inputs))


def unlike(task: Task, inputs: Inputs, targets: Tensor, like: tuple[Inputs, Tensor] | None = None) -> str | None:
    """Return why a batch does not fit the task: number, type or shape of its tensors, or what they hold; or None.

    like: a `random_batch` of the task, for whoever asks of one example after the other.
    """
    import torch

    made, answers = like or task.random_batch(1, torch.Generator())
    expected, given = (*tensors(made), answers), (*tensors(inputs), targets)
    if isinstance(made, tuple) != isinstance(inputs, tuple) or len(expected) != len(given):
        return f"has {len(given) - 1} inputs; {task.name} takes {len(expected) - 1}"
    for name, each, wanted in zip((*["the input"] * (len(given) - 1), "the target"), given, expected, strict=True):
        if (each.dtype, each.shape[1:]) != (wanted.dtype, wanted.shape[1:]):
            return f"{name} of an example is {_described(each)}; {task.name} takes {_described(wanted)}"
    return task.misfit(inputs, targets)


def _described(batch: Tensor) -> str:
    return f"{str(batch.dtype).removeprefix('torch.')} {list(batch.shape[1:])}"


def primary_spec(task: Task) -> MetricSpec:
    """Return how the primary metric describes itself."""
    return next(spec for spec in task.specs if spec.name == task.primary)


def scored(task: Task, batches: Iterable[tuple[Tensor, Tensor]], brief: bool = False) -> dict[str, float]:
    """Return the task's metrics over batches of (outputs, targets); it is waited for the device once, at the end.

    ValueError if there is no batch.
    """
    total: dict[str, Tensor] = {}
    for outputs, targets in batches:
        for name, value in task.sums(outputs, targets, brief).items():
            total[name] = total[name] + value if name in total else value
    if not total:
        raise ValueError("there is no example to score the network on")
    return task.scores({name: value.item() for name, value in total.items()})
