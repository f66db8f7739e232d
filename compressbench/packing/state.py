"""Which tensors of a network a file holds: its state, one of each that is tied to others, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def ties(model: nn.Module) -> dict[str, str]:
    """Return, by name, the first name of the same tensor, for every parameter or buffer that has an earlier one: the
    weight of an output layer that is the embedding's, a layer under two names."""
    first: dict[int, str] = {}
    named = (*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False))
    found = {name: first.setdefault(id(tensor), name) for name, tensor in named}
    return {name: other for name, other in found.items() if name != other}


def stored(model: nn.Module, fresh: nn.Module) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors that a file holds of a network, by name, and the ties that it leaves to the architecture.

    fresh: the network as the architecture builds it. A tie that this does not have is none: both tensors are stored.
    ValueError for a buffer outside the network's state that the constructor does not make just so.
    """
    state, built = model.state_dict(), ties(fresh)
    left_out = {name: other for name, other in ties(model).items() if built.get(name) == other and name in state}
    made = dict(fresh.named_buffers())
    for name, buffer in model.named_buffers():
        if name not in state and not _same(buffer, made.get(name)):
            raise ValueError(f"{name} is not in the state of its network, so it cannot be stored")
    return {name: tensor for name, tensor in state.items() if name not in left_out}, left_out


def wanted(model: nn.Module, there: set[str]) -> dict[str, Tensor]:
    """Return the tensors that a file must hold of a network; a tied one only if it is among those that are `there`.

    ValueError for a buffer that neither a file nor the constructor gives a value.
    """
    state, tied = model.state_dict(), ties(model)
    for name, buffer in (*model.named_parameters(), *model.named_buffers()):
        if name not in state and buffer.is_meta:
            raise ValueError(f"{name} is not in the state of its network, so it cannot be stored")
    return {name: tensor for name, tensor in state.items() if name not in tied or name in there}


def fill(model: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Put a file's tensors into a network, and tie what the file leaves out; return these ties."""
    left_out = {name: other for name, other in ties(model).items() if name not in tensors}
    both = {**tensors, **{name: tensors[other] for name, other in left_out.items() if other in tensors}}
    model.load_state_dict(both, strict=True, assign=True)
    for name, other in left_out.items():
        module, _, last = name.rpartition(".")
        at, _, first = other.rpartition(".")
        setattr(model.get_submodule(module), last, getattr(model.get_submodule(at), first))
    return left_out


def _same(buffer: Tensor, other: Tensor | None) -> bool:
    return other is not None and not other.is_meta and torch.equal(buffer.cpu(), other.cpu())
