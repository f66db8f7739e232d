"""Which layers a technique works on: the selectors that every recipe uses.

A selector is a type (`conv`, `linear`, `bn`; for what works on single weights also `rnn`, `attention`: the projections
of queries, keys and values, and `embedding`), a position (`first`, `last`: in the order of definition, among the
kinds of layer the technique works on), the exact name of a layer, or a glob over names (`stage1.*.conv1`). Types and
positions are reserved: a layer that is called `conv` is reached by a glob.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import TypeGuard, TypeVar

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from compressbench.core.errors import out_of_range, suggestion
from compressbench.core.subject import Skipped

KINDS: dict[str, tuple[type[nn.Module], ...]] = {
    "conv": (nn.Conv1d, nn.Conv2d, nn.Conv3d),
    "linear": (nn.Linear,),
    "bn": (_BatchNorm,),
    "rnn": (nn.RNNBase, nn.RNNCellBase),
    "attention": (nn.MultiheadAttention,),
    "embedding": (nn.Embedding,),
}
POSITIONS = ("first", "last")
WEIGHTED = ("conv", "linear")
SINGLE = (*WEIGHTED, "rnn", "attention", "embedding")
"""The kinds of layer whose single weights can be pruned or shared; `weights_of` says which tensors these are."""
Value = TypeVar("Value")


def kind_of(layer: nn.Module) -> str | None:
    """Return one of `KINDS`, or None for any other module."""
    return next((kind for kind, types in KINDS.items() if isinstance(layer, types)), None)


def is_convolution(layer: nn.Module) -> TypeGuard[_ConvNd]:
    """Return whether the layer is a convolution (no transposed one)."""
    return isinstance(layer, KINDS["conv"])


def uncalled(layer: nn.Module) -> str:
    """Return why what watches the calls of a layer never sees one, or nothing."""
    if isinstance(layer, NonDynamicallyQuantizableLinear):  # as torch calls the output projection of its attention
        return "nn.MultiheadAttention takes its weights and never calls it"
    return ""


def layers_of(model: nn.Module, kinds: Iterable[str] = WEIGHTED) -> dict[str, nn.Module]:
    """Return the layers of these kinds by name, in the order of definition."""
    wanted = tuple(kinds)
    return {name: layer for name, layer in model.named_modules() if kind_of(layer) in wanted}


def weights_of(model: nn.Module, layers: Iterable[str]) -> dict[str, str]:
    """Return the name of the layer by the name of each weight matrix of these layers; one that is tied to an earlier
    one is left out."""
    seen: dict[int, str] = {}
    found = {}
    for name in layers:
        for weight, parameter in model.get_submodule(name).named_parameters(recurse=False):
            if "weight" in weight and seen.setdefault(id(parameter), name) == name:
                found[f"{name}.{weight}"] = name
    return found


def select(
    model: nn.Module, targets: Iterable[str], ignore: Iterable[str], kinds: Iterable[str] = WEIGHTED
) -> dict[str, nn.Module]:
    """Return the layers that a selector of `targets` matches and none of `ignore` does, in the order of definition.

    Raises ValueError for a position, name or glob that matches nothing, naming the nearest layer, or if none is left.
    """
    kinds = tuple(kinds)
    return choose(layers_of(model, kinds), targets, ignore, kinds, type(model).__name__)


def choose(
    candidates: Mapping[str, nn.Module],
    targets: Iterable[str],
    ignore: Iterable[str],
    kinds: tuple[str, ...],
    network: str,
) -> dict[str, nn.Module]:
    """Do what `select` does, among these modules; where there is only one kind, they all are of it."""
    chosen = {name for selector in targets for name in _matches(selector, candidates, kinds, "targets")}
    kept = {name for selector in ignore for name in _matches(selector, candidates, kinds, "ignore")}
    found = {name: layer for name, layer in candidates.items() if name in chosen - kept}
    if not found:
        raise ValueError(f"targets {list(targets)} without ignore {list(ignore)} leaves no layer of {network}")
    return found


def names_in(selectors: Iterable[str]) -> set[str]:
    """Return those that can be the exact name of a layer: who names a layer wants an error where it cannot be done."""
    return set(selectors) - {*KINDS, *POSITIONS}


def leave_out(skipped: list[Skipped], name: str, selectors: Iterable[str], cannot: str, why: str) -> None:
    """Report that a layer is left as it is. ValueError, `NAME CANNOT: WHY`, if a selector names it exactly."""
    if name in names_in(selectors):
        raise ValueError(f"{name} {cannot}: {why}")
    skipped.append(Skipped(name, why))


def usable(skipped: list[Skipped], obstacles: Mapping[str, str], selectors: Iterable[str], cannot: str) -> list[str]:
    """Return the layers that nothing is in the way of; the others are left out, as `leave_out` does.

    obstacles: why a layer cannot be worked on, or nothing, by name. ValueError too if no layer is left.
    """
    for name, why in obstacles.items():
        if why:
            leave_out(skipped, name, selectors, cannot, why)
    found = [name for name, why in obstacles.items() if not why]
    if not found:
        name, why = next(iter(obstacles.items()))
        raise ValueError(f"no layer is left to work on: {name} {cannot}: {why}")
    return found


def ratio_by_layer(
    model: nn.Module,
    targets: Iterable[str],
    ignore: Iterable[str],
    ratio: float,
    ratios: Mapping[str, float],
    kinds: tuple[str, ...] = WEIGHTED,
) -> dict[str, float]:
    """Return the ratio of every selected layer, as `value_by_layer` does."""
    return value_by_layer(model, targets, ignore, ratio, ratios, "ratios", kinds)


def value_by_layer(
    model: nn.Module,
    targets: Iterable[str],
    ignore: Iterable[str],
    value: Value,
    values: Mapping[str, Value],
    key: str,
    kinds: tuple[str, ...] = WEIGHTED,
) -> dict[str, Value]:
    """Return the value of every selected layer of these kinds.

    `values`, by selector, overrides `value`; an exact name wins over a glob, a glob over a position, a position over a
    type. key: what people call `values`, for messages. Raises ValueError as `select` does, for a selector of `values`
    that matches no layer that `targets` does, and for two equally specific selectors that disagree about a layer.
    """
    selected = select(model, targets, ignore, kinds)
    candidates, wanted = layers_of(model, kinds), select(model, targets, [], kinds)
    found: dict[str, tuple[int, str, Value]] = dict.fromkeys(selected, (-1, "", value))
    for selector, own in values.items():
        names = _matches(selector, candidates, kinds, key)
        if not any(name in wanted for name in names):
            raise ValueError(f"{key} has {selector!r}, but targets {list(targets)} select no layer that it matches")
        rank = _rank(selector, candidates)
        for name in (name for name in names if name in selected):
            earlier_rank, earlier, earlier_own = found[name]
            if rank == earlier_rank and own != earlier_own:
                raise ValueError(
                    f"{key} gives {name!r} {earlier_own} by {earlier!r} and {own} by {selector!r}; name it exactly"
                )
            if rank > earlier_rank:
                found[name] = (rank, selector, own)
    return {name: own for name, (_, _, own) in found.items()}


def check_ratios(ratio: float, ratios: Mapping[str, float]) -> None:
    """Raise ValueError unless every ratio is 0 or more and less than 1."""
    for key, value in {"ratio": ratio, **{f"ratios.{selector}": value for selector, value in ratios.items()}}.items():
        if not 0 <= value < 1:
            raise out_of_range(key, value, "0 or more and less than 1")


def _rank(selector: str, candidates: Mapping[str, nn.Module]) -> int:
    if selector in KINDS:
        return 0
    return 1 if selector in POSITIONS else 3 if selector in candidates else 2


def _matches(selector: str, candidates: Mapping[str, nn.Module], kinds: tuple[str, ...], key: str) -> list[str]:
    names = list(candidates)
    if selector in POSITIONS:
        found = names[:1] if selector == "first" else names[-1:]
    elif selector in kinds:  # one that the network lacks is no fault: `[conv, linear]` suits any network
        return [name for name in names if len(kinds) == 1 or kind_of(candidates[name]) == selector]
    elif selector in candidates:
        return [selector]
    else:
        found = [name for name in names if fnmatchcase(name, selector)]
    if not found:
        types = ", ".join(kinds)
        raise ValueError(
            f"{key} has {selector!r}, which matches no layer; {suggestion(selector, names)} (types: {types})"
        )
    return found
