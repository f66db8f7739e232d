"""Layers after which a linear classifier knows no more than before them go (Chen and Zhao 2018)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import inf
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range, suggestion
from compressbench.core.subject import Skipped, Subject
from compressbench.core.task import feed
from compressbench.core.technique import Technique
from compressbench.techniques._layers import is_convolution, layers_of, leave_out
from compressbench.techniques.pruning._groups import Graph, evaluating
from compressbench.techniques.pruning._probes import Probed, accuracies


@dataclass(frozen=True)
class LayerProbes(Technique):
    """Remove whole convolutions or residual blocks, and let what they read go straight to what reads them.

    Source: Chen and Zhao 2018, "Shallowing Deep Networks: Layer-wise Pruning Based on Feature Representations",
    section 3. A linear classifier (a probe) learns from the features after each layer, averaged over all positions; the
    gain of a layer is the probe's accuracy minus that of the probe before it (the first: minus chance). Layers of small
    gain go at once: an identity stands in their place and that of their batch norm. Those that
    change the shape of what they read stay. Accuracies are those on the validation split, and stand in the record. What
    the paper does next, training what is left with the original as its teacher, is a stage of its own:
    `training/finetune` with `distill:`.

    targets, ignore: `conv`, the names of modules (residual blocks too), or globs; of modules one in another the outer
    one counts. threshold: gain of accuracy, as a fraction, below which a layer goes. counts: for those that a glob
    matches, how many go instead, those of the smallest gain. examples: training examples the probes learn from.

    We differ: the probes are logistic regressions, fitted to the end; gains are not measured again after a removal.
    """

    targets: list[str]
    ignore: list[str]
    threshold: float
    counts: dict[str, int]
    examples: int

    needs: ClassVar[frozenset[str]] = frozenset({"trained"})
    adds: ClassVar[frozenset[str]] = frozenset({"filters_removed"})
    refuses: ClassVar[frozenset[str]] = frozenset({"quantized", "int8"})
    predictable: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0 <= self.threshold < inf:
            raise out_of_range("threshold", self.threshold, "0 or more")
        if self.examples < 1:
            raise out_of_range("examples", self.examples, "1 or more")
        for pattern, count in self.counts.items():
            if count < 0:
                raise out_of_range(f"counts.{pattern}", count, "0 or more")

    def apply(self, subject: Subject, context: Context) -> Subject:
        """Raises ValueError for a name or glob that matches nothing, a layer named exactly that cannot go, fewer layers
        than `counts` has, what is no classification, and without validation examples."""
        places = places_of(subject.model, self.targets, self.ignore, context)
        stay = obstacles(subject.model, [place.layer for place in places], context)
        for name, why in stay.items():
            leave_out(subject.skipped, name, self.targets, "cannot be removed", why)
        right = accuracies(subject, context, places, self.examples)
        gains = gains_of(right, 1 / feed(subject.model.eval(), context.example).shape[-1])
        gone = self.chosen({name: gain for name, gain in gains.items() if name not in stay})
        for place in places:
            if place.layer in gone:
                for module in {place.layer, place.module}:
                    subject.replace_module(module, nn.Identity())
        said = ", ".join(f"{name} {right[name]:.3f} ({gains[name]:+.3f})" for name in gains)
        metric = f"{context.task.primary} on validation of a linear probe after each layer, and the gain"
        subject.skipped.append(
            Skipped(", ".join(sorted(gone, key=list(gains).index)) or "nothing", f"{metric}: {said}")
        )
        return subject

    def chosen(self, gains: Mapping[str, float]) -> set[str]:
        """Return which of the layers that may go do so."""
        gone, counted = set[str](), set[str]()
        for pattern, count in self.counts.items():
            matched = [name for name in gains if fnmatchcase(name, pattern)]
            if len(matched) < count:
                raise ValueError(f"counts.{pattern} is {count!r}; allowed: 0 to {len(matched)}, which may go")
            counted.update(matched)
            gone.update(sorted(matched, key=gains.__getitem__)[:count])
        return gone | {name for name, gain in gains.items() if name not in counted and gain < self.threshold}


def gains_of(accuracy: Mapping[str, float], chance: float) -> dict[str, float]:
    """Return by how much each probe is better than the one before it."""
    before = [chance, *accuracy.values()]
    return {name: found - earlier for (name, found), earlier in zip(accuracy.items(), before, strict=False)}


def places_of(model: nn.Module, targets: Iterable[str], ignore: Iterable[str], context: Context) -> list[Probed]:
    """Return where to probe: the selected modules in the order of definition, of nested ones the outer."""
    targets, kept = list(targets), {name for selector in ignore for name in _matches(model, selector, "ignore")}
    wanted = {name for selector in targets for name in _matches(model, selector, "targets")} - kept
    outer = [name for name, _ in model.named_modules() if name in wanted and not _within(name, wanted)]
    if not outer:
        raise ValueError(f"targets {targets} without ignore {list(ignore)} leaves no layer of {type(model).__name__}")
    norms = dict[str | None, str]()
    if any(is_convolution(model.get_submodule(name)) for name in outer):
        graph = Graph(model, context.example)
        norms = {graph.convolution_before(name): name for name in layers_of(model, ["bn"])}
    return [Probed(name, norms.get(name, name), is_convolution(model.get_submodule(name))) for name in outer]


def _matches(model: nn.Module, selector: str, key: str) -> list[str]:
    if selector == "conv":
        return list(layers_of(model, ["conv"]))
    names = [name for name, _ in model.named_modules() if name]
    found = [name for name in names if name == selector] or [name for name in names if fnmatchcase(name, selector)]
    if not found:
        raise ValueError(f"{key} has {selector!r}, which matches no module; {suggestion(selector, names)} (type: conv)")
    return found


def _within(name: str, others: set[str]) -> bool:
    parts = name.split(".")
    return any(".".join(parts[:number]) in others for number in range(1, len(parts)))


@torch.no_grad()
def obstacles(model: nn.Module, names: Iterable[str], context: Context) -> dict[str, str]:
    """Return why modules cannot be replaced by an identity, by name, of those that cannot."""
    shapes: dict[str, list[tuple[Any, Any]]] = {name: [] for name in names}

    def watch(name: str) -> Any:
        def keep(module: nn.Module, inputs: Any, outputs: Any) -> None:
            (read,) = inputs if len(inputs) == 1 else (None,)
            shapes[name].append(tuple(tuple(e.shape[1:]) if isinstance(e, Tensor) else None for e in (read, outputs)))  # type: ignore[arg-type]

        return model.get_submodule(name).register_forward_hook(keep)

    handles = [watch(name) for name in shapes]
    try:
        with evaluating(model):
            feed(model, context.example)
    finally:
        for handle in handles:
            handle.remove()
    found = {}
    for name, seen in shapes.items():
        if len(seen) != 1:
            found[name] = f"the network calls it {len(seen)} times"
        elif None in seen[0] or seen[0][0] != seen[0][1]:
            found[name] = "it changes the shape of what it reads"
    return found
