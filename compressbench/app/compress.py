"""A network in hand: it and its weights become a recipe, which is run like any other."""

from __future__ import annotations

import copy
import hashlib
import io
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from compressbench.app.run import carry_out, check_budget, prepare_run
from compressbench.app.words import words_of
from compressbench.core.atomic import write_atomically
from compressbench.core.errors import PlanError
from compressbench.core.paths import outputs_folder
from compressbench.core.plan import Plan
from compressbench.core.plugins import hand_over
from compressbench.core.record import RunRecord

if TYPE_CHECKING:
    from rich.console import Console

    from compressbench.core.task import Inputs

CLOSE = 1e-4
"""By how much, relative to the largest, outputs of the same network may differ that is computed on another device."""


@dataclass(frozen=True)
class Compressed:
    """What came of a network. model: decoded from the packed file at `path`, in evaluation mode, as `load` returns it.

    record: of the run; the network as it was given is its first row.
    """

    record: RunRecord
    model: nn.Module
    path: Path


@dataclass(frozen=True)
class InHand:
    """A network in hand. builder, arguments: with which an equal one is built; what the task knows of itself (channels,
    classes) is added where the builder takes it."""

    module: nn.Module
    builder: Callable[..., nn.Module]
    arguments: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.builder.__name__.lower()

    def node(self, outputs: Path) -> dict[str, Any]:
        """Return how a recipe says it, its weights written beside the recipes. PlanError if nothing could open it."""
        target = importable(self.builder, "module")
        content = io.BytesIO()
        torch.save({name: tensor.detach().cpu().clone() for name, tensor in self.module.state_dict().items()}, content)
        data = content.getvalue()
        weights = outputs / "recipes" / f"{self.name}_{hashlib.sha256(data).hexdigest()[:8]}.pt"
        if not weights.is_file():
            write_atomically(weights, data)
        return {"_target_": target, **self.arguments, "weights": str(weights)}


def compressed(
    given: InHand, parts: Mapping[str, Any], words: Sequence[str], outputs: str | Path | None, console: Console | None
) -> Compressed:
    """Carry out what `compressbench.compress` is asked for. parts: dataset, stages and budget of the recipe."""
    from compressbench.app.api import load
    from compressbench.planning.build import build

    model = given.node(outputs_folder(outputs))
    recipe = {"model": model, **parts}
    prepared = prepare_run(words_of(recipe, words, outputs, given.name))
    plan, faults = build(*prepared)
    if plan is None or faults:
        raise PlanError(faults)
    check_equal(given.module, plan)
    ran = carry_out(prepared, console=console)
    ran.track()
    check_budget(ran.record)
    path = ran.folder / "model.cbp"
    return Compressed(ran.record, load(path, plugins=[sys.modules[given.builder.__module__]]), path)


def importable(code: Callable[..., Any], where: str) -> str:
    """Return the dotted path of a class or function that is handed over, and let it be named from now on.

    PlanError for one that no other process could import.
    """
    module, name = code.__module__, code.__qualname__
    if module == "__main__" or "." in name:
        what = "in this notebook or script" if module == "__main__" else f"inside something else in {module}"
        raise PlanError.of(
            where, f"{name} is defined {what}, so no file could name it; put it into a file (nets.py) and import it"
        )
    try:
        hand_over(sys.modules[module])
    except ValueError as error:
        raise PlanError.of(where, f"{name}: {error}") from error
    return f"{module}.{name}"


def check_equal(module: nn.Module, plan: Plan) -> None:
    """Raise PlanError unless the plan's network, with the weights of a module, computes what the module does."""
    target, arguments = plan.model.architecture.target, plan.model.architecture.arguments
    called = f"{target}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})"
    with torch.random.fork_rng(devices=[]):
        built = plan.model.architecture.build().eval()
    state = {name: tensor.detach().cpu() for name, tensor in module.state_dict().items()}
    ours, theirs = _shapes(built.state_dict()), _shapes(state)
    if ours != theirs:
        differ = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
        names = ", ".join(
            f"{name} ({theirs.get(name, 'not there')}; built: {ours.get(name, 'not there')})" for name in differ[:3]
        )
        raise PlanError.of("module", f"{called} builds another network: {names}; {HINT}")
    built.load_state_dict(state)
    inputs = _drawn(plan.dataset.task.example())
    with torch.no_grad():
        wanted = _outputs(copy.deepcopy(module).cpu().eval(), inputs)
        found = _outputs(built, inputs)
    same = len(wanted) == len(found) and all(
        one.shape == other.shape and bool((one - other).abs().max() <= CLOSE * one.abs().max().clamp_min(1e-12))
        for one, other in zip(wanted, found, strict=True)
    )
    if not same:
        raise PlanError.of("module", f"{called} builds a network that computes something else; {HINT}")


HINT = "say how an equal one is built: arguments={'width': 4}, or builder=FUNCTION if it is not made by its class"


def _shapes(state: Mapping[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def _drawn(example: Inputs) -> tuple[torch.Tensor, ...]:
    """Return inputs like an example, drawn where they are no whole numbers."""
    generator = torch.Generator().manual_seed(0)
    parts = example if isinstance(example, tuple) else (example,)
    return tuple(
        torch.randn(part.shape, generator=generator).to(part.dtype) if part.is_floating_point() else part
        for part in parts
    )


def _outputs(network: nn.Module, inputs: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
    found = network(*inputs)
    return [each.float() for each in (found if isinstance(found, tuple | list) else [found])]
