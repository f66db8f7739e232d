"""Features that a distillation names: modules of the student beside modules of its teacher."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor, nn

from compressbench.core.context import Context
from compressbench.core.errors import suggestion
from compressbench.core.objective import Objective, Seen
from compressbench.core.task import feed

Made = TypeVar("Made")


class Naming(Protocol):
    """A distillation that names features, in pairs. teacher_features: empty for the same names."""

    @property
    def features(self) -> list[str]: ...

    @property
    def teacher_features(self) -> list[str]: ...


class Pair(NamedTuple):
    """A module of the student and one of the teacher; the shapes of what they return of one example."""

    name: str
    teacher_name: str
    shape: tuple[int, ...]
    teacher_shape: tuple[int, ...]

    def __str__(self) -> str:
        theirs = f"{list(self.teacher_shape)} of the teacher's {self.teacher_name}"
        return f"{self.name} gives {list(self.shape)} of an example, beside {theirs}"


def check_features(own: Naming) -> None:
    """Raise ValueError if no features are named, or not as many of the teacher."""
    if not own.features:
        raise ValueError("features is []; allowed: names of the student's modules, one or more")
    if own.teacher_features and len(own.teacher_features) != len(own.features):
        allowed = f"{len(own.features)} names, as many as features, or [] for the same names"
        raise ValueError(f"teacher_features is {own.teacher_features}; allowed: {allowed}")


def pairs_of(own: Naming, student: nn.Module, teacher: nn.Module, context: Context) -> list[Pair]:
    """Return the named features with their shapes. ValueError for one that is not there, or is no tensor."""
    theirs = own.teacher_features or own.features
    shapes, others = (
        _shapes(model, names, key, context)
        for model, names, key in ((student, own.features, "features"), (teacher, theirs, "teacher_features"))
    )
    return [Pair(name, other, shapes[name], others[other]) for name, other in zip(own.features, theirs, strict=True)]


def check_maps(pairs: Sequence[Pair]) -> None:
    """Raise ValueError unless all features are maps: channels, height and width."""
    for pair in pairs:
        if len(pair.shape) != 3 or len(pair.teacher_shape) != 3:
            raise ValueError(f"{pair}; allowed: maps, [channels, height, width], as of convolutions")


def check_sizes(pairs: Sequence[Pair]) -> None:
    """Raise ValueError unless both features of each pair are maps of one size, whatever their channels."""
    check_maps(pairs)
    for pair in pairs:
        if pair.shape[1:] != pair.teacher_shape[1:]:
            raise ValueError(f"{pair}; allowed: maps of the same height and width")


def seeing(
    pairs: Sequence[Pair], teacher: nn.Module, loss: Callable[[Seen], Tensor], learned: nn.Module | None = None
) -> Objective:
    """Return an objective that sees the features of both."""
    names, others = tuple(pair.name for pair in pairs), tuple(pair.teacher_name for pair in pairs)
    return Objective(loss, names, teacher, others, learned)


def both(seen: Seen, pairs: Sequence[Pair]) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield what the student's and what the teacher's module of each pair returned, in float32."""
    for pair in pairs:
        yield seen.features[pair.name].float(), seen.teacher_features[pair.teacher_name].float()


def drawn(make: Callable[[], Made], generator: torch.Generator) -> Made:
    """Return what `make` makes, its weights drawn by the generator; the global random state is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int(torch.randint(2**62, (1,), generator=generator)))
        return make()


def _shapes(model: nn.Module, names: Sequence[str], key: str, context: Context) -> dict[str, tuple[int, ...]]:
    modules, found = dict(model.named_modules()), dict[str, Any]()
    for name in names:
        if name not in modules:
            near = suggestion(name, [each for each in modules if each])
            raise ValueError(f"{key} has {name!r}, which {type(model).__name__} does not have; {near}")

    def keep(name: str) -> Callable[[nn.Module, Any, Any], None]:
        return lambda module, inputs, output: found.__setitem__(name, output)

    handles = [modules[name].register_forward_hook(keep(name)) for name in names]
    modes = [(module, module.training) for module in modules.values()]
    try:
        with torch.no_grad():
            feed(model.eval(), context.example)
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes:
            module.training = mode
    for name in names:
        if not isinstance(found.get(name), Tensor):
            what = f"returns a {type(found[name]).__name__}" if name in found else "is not run"
            raise ValueError(f"{key} has {name!r}, which {what}; allowed: modules that return a tensor")
    return {name: tuple(found[name].shape[1:]) for name in names}
