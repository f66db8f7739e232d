"""Files of trained weights as other programs write them: tensors by name, whatever they are wrapped in."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from compressbench.core.errors import suggestion
from compressbench.packing import packed_file

WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "params", "weights")
"""What trainings call the state dict in a checkpoint that holds more: the epoch, the optimizer."""
AVERAGED = ("model_ema", "state_dict_ema", "ema_state_dict", "ema", "params_ema")
"""What they call the moving average of the weights. It is taken if there is nothing else, or if `key` says so."""
PREFIXES = ("module", "_orig_mod")
"""What DataParallel, averages of weights and torch.compile put before every name."""
COUNTERS = ("n_averaged", "total_ops", "total_params")
"""Tensors at the end of a name that averages of weights and counters of FLOPs leave behind, and nobody needs."""


class Checkpoint(NamedTuple):
    """tensors: by name, in the order of the file. found: where they lay and what was taken off their names, in words,
    empty if they were the file's own content."""

    tensors: dict[str, Tensor]
    found: str


def read_checkpoint(path: Path, key: str | None = None) -> Checkpoint:
    """Return the tensors of a file, without running code from it. ValueError, in words for people, if there are none.

    key: where they lie, by dotted keys; None: wherever trainings put them.
    """
    return unwrapped(_content(path), key)


def _content(path: Path) -> Any:
    if path.suffix == ".cbp":
        return dict(packed_file.read(path).model.state_dict())
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except SafetensorError as error:
            raise ValueError(f"is no file of safetensors: {error}") from error
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        what = "is no file of tensors that can be read without running code from it"
        raise ValueError(f"{what}; write one with torch.save(model.state_dict(), FILE)") from error


def unwrapped(content: Any, key: str | None = None) -> Checkpoint:
    """Return the state dict inside what a training saved, names without what is before all of them.

    ValueError if there is none.
    """
    steps = []
    if key is not None:
        content = _below(content, key)
        steps.append(key)
    while isinstance(content, Mapping) and (inner := _wrapper(content)):
        content = content[inner]
        steps.append(inner)
    if not isinstance(content, Mapping):
        raise ValueError(f"holds a {type(content).__name__}, not a state dict: a mapping from names to tensors")
    state = {str(name): tensor for name, tensor in content.items() if isinstance(tensor, Tensor)}
    state = {name: tensor for name, tensor in state.items() if name.rpartition(".")[2] not in COUNTERS}
    if not state:
        near = f"; it has {', '.join(map(str, list(content)[:10]))}" if content else ""
        raise ValueError(f"holds no tensors by name{near}; `weights: {{file: FILE, key: KEY}}` says where they lie")
    found = [f"under {'.'.join(steps)!r}"] if steps else []
    names = _without_prefixes(list(state))
    if names != list(state):
        parts = {part for name in state for part in name.split(".")}
        found.append(f"without {' and '.join(part for part in PREFIXES if part in parts)}")
    return Checkpoint(dict(zip(names, state.values(), strict=True)), ", ".join(found))


def _below(content: Any, key: str) -> Any:
    for part in [key] if isinstance(content, Mapping) and key in content else key.split("."):
        if not isinstance(content, Mapping) or part not in content:
            there = [str(name) for name in content] if isinstance(content, Mapping) else []
            raise ValueError(f"has nothing under the key {key!r}; {suggestion(part, there)}")
        content = content[part]
    return content


def _wrapper(content: Mapping[Any, Any]) -> Any:
    """Return the key below which the state dict lies, None if it lies right here."""
    inside = [name for name, value in content.items() if isinstance(value, Mapping)]
    named = [name for name in (*WRAPPERS, *AVERAGED) if name in inside]
    if named:
        return named[0]
    holding = [name for name in inside if any(isinstance(value, Tensor) for value in content[name].values())]
    alone = len(holding) == 1 and not any(isinstance(value, Tensor) for value in content.values())
    return holding[0] if alone else None


def _without_prefixes(names: list[str]) -> list[str]:
    """Return the names without `PREFIXES` where all have one, and without `_orig_mod` wherever it stands."""
    names = [name.replace("._orig_mod.", ".") for name in names]
    while before := [each for each in PREFIXES if all(name.startswith(f"{each}.") for name in names)]:
        names = [name.removeprefix(f"{before[0]}.") for name in names]
    return names
