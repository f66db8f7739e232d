"""Trained weights that a recipe names become a network's."""

from __future__ import annotations

import pickle

import torch
from torch import Tensor, nn

from compressbench.core.model import Model, Weights
from compressbench.running.checkpoint_file import Checkpoint, read_checkpoint
from compressbench.running.name_matching import aligned, match, renamed
from compressbench.zoo.torchvision_models import current_names, published_set, torchvision_weights

UNUSABLE = (OSError, RuntimeError, ValueError, TypeError, AttributeError, EOFError, pickle.UnpicklingError)
"""What torch raises for a file that holds no state dict, or that of another network."""


COUNTER = "num_batches_tracked"
"""What batch norm counts, and no network computes with."""


def give_weights(network: nn.Module, model: Model) -> str:
    """Put the model's given weights into its network, in place; return in words how they were matched.

    ValueError, saying what fits and what does not, if they cannot be had or are not this network's.
    """
    try:
        return _give(network, model)
    except UNUSABLE as error:
        raise ValueError(str(error) or type(error).__name__) from error


def weights_fault(model: Model, network: nn.Module) -> str | None:
    """Return what is wrong with the model's weights as far as it can be told without a download."""
    if model.weights is None:
        return None
    try:
        if model.weights_file is not None:
            give_weights(network, model)
        else:
            published_set(model.architecture.arguments.get("name", ""), _set_of(model))
    except ValueError as error:
        return str(error)
    return None


def _give(network: nn.Module, model: Model) -> str:
    file, rename = model.weights_file, model.weights.rename if isinstance(model.weights, Weights) else {}
    if file is not None:
        found = read_checkpoint(file, model.weights.key if isinstance(model.weights, Weights) else None)
        found = Checkpoint(current_names(found.tensors), found.found)
    else:
        name = model.architecture.arguments.get("name", "")
        found = Checkpoint(torchvision_weights(name, _set_of(model)), "")
    state = dict(network.state_dict())
    new_names = renamed(list(found.tensors), rename)
    there = aligned(list(new_names.values()), list(state))
    new_names = {name: there[new_name] for name, new_name in new_names.items()}
    if len(set(new_names.values())) < len(new_names):
        twice = sorted(new_names.values(), key=list(new_names.values()).count)[-1]
        raise ValueError(f"rename gives several tensors of the file the name {twice}")
    taken = {new_name: found.tensors[name] for name, new_name in new_names.items()}
    tensors, dropped = _needed(taken, state)
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    theirs = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    matching = match(theirs, shapes, _optional(network, theirs), type(network).__name__)
    notes = [found.found, _copy(tensors, matching.theirs, state)]
    if rename:
        notes.append("renamed by the recipe")
    if dropped:
        notes.append(f"{', '.join(dropped[:3])}{', ...' if len(dropped) > 3 else ''} not needed")
    return "; ".join(filter(None, [matching.how, *notes]))


def _needed(tensors: dict[str, Tensor], state: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Return the tensors without whole numbers that the network has no name for, and the names of these but counters
    of batches: they say how many or where, and are no weights."""
    dropped = {name for name, each in tensors.items() if name not in state and not each.is_floating_point()}
    told = [name for name in tensors if name in dropped and not name.endswith(COUNTER)]
    return {name: each for name, each in tensors.items() if name not in dropped}, told


def _optional(network: nn.Module, theirs: dict[str, tuple[int, ...]]) -> frozenset[str]:
    """Return which tensors need no other: counters of batches, and what is one with a tensor that the file has."""
    names = [name for name in network.state_dict() if name.endswith(COUNTER)]
    by_identity: dict[int, list[str]] = {}
    for name, parameter in network.named_parameters(remove_duplicate=False):
        by_identity.setdefault(id(parameter), []).append(name)
    for tied in by_identity.values():
        if any(name in theirs for name in tied):
            names += [name for name in tied if name not in theirs]
    return frozenset(names)


@torch.no_grad()
def _copy(tensors: dict[str, Tensor], theirs: dict[str, str], state: dict[str, Tensor]) -> str:
    """Fill the network's tensors, in place; return from which other types they were made."""
    others = set()
    for name, other in theirs.items():
        tensor, given = state[name], tensors[other]
        if tensor.is_floating_point() and not given.is_floating_point():
            raise ValueError(f"{other} is of {_type(given)}; whole numbers are no weights of {_type(tensor)}")
        if given.dtype != tensor.dtype:
            others.add(f"{_type(given)} to {_type(tensor)}")
        tensor.copy_(given)
    return ", ".join(sorted(others))


def _type(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _set_of(model: Model) -> str:
    return model.weights.file if isinstance(model.weights, Weights) else str(model.weights)
