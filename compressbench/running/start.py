"""The subject before the first stage: freshly initialised by the seed, or with given weights."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from compressbench.core.before import GIVEN
from compressbench.core.context import Context
from compressbench.core.errors import RunError
from compressbench.core.identity import digest
from compressbench.core.plan import Plan, Stage
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.zoo.torchvision_models import current_names, published_set, torchvision_weights


class AsItIs(Technique):
    """Change nothing."""

    def apply(self, subject: Subject, context: Context) -> Subject:
        return subject


AS_GIVEN = Stage(GIVEN, GIVEN, AsItIs())
"""Comes before the first stage if weights are given, so that the network is stored and measured as it was."""

UNUSABLE = (OSError, RuntimeError, ValueError, TypeError, AttributeError, EOFError, pickle.UnpicklingError)
"""What torch raises for a file that holds no state dict, or that of another network."""


WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
"""What trainings call the state dict in a checkpoint that holds more: the epoch, the optimizer."""
PREFIXES = ("module.", "_orig_mod.")
"""What DataParallel and torch.compile put before every name."""


def seed_of(*parts: object) -> int:
    """Return a seed for torch that depends on all parts (strings and integers)."""
    return int(digest([str(part) for part in parts], length=15), 16)


def start_subject(plan: Plan) -> Subject:
    """Return the plan's network. The same seed gives the same weights; the global random state is left alone.

    Raises RunError if weights are named that cannot be had or do not fit.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of("start", plan.seed))
        model = plan.model.architecture.build()
    if plan.model.weights is not None:
        try:
            model.load_state_dict(_weights(plan, plan.model.weights))
        except UNUSABLE as error:
            raise RunError(f"model.weights={plan.model.weights}: {error}") from error
    return Subject(model, plan.model.architecture)


def weights_fault(plan: Plan) -> str | None:
    """Return what is wrong with the plan's weights as far as it can be told without a download."""
    if plan.model.weights is None:
        return None
    try:
        if Path(plan.model.weights).expanduser().is_file():
            start_subject(plan)
        else:
            published_set(plan.model.architecture.arguments.get("name", ""), plan.model.weights)
    except (RunError, ValueError) as error:
        return str(error)
    return None


def _weights(plan: Plan, weights: str) -> dict[str, torch.Tensor]:
    """Return a state dict from a local file (read without running code from it) or from torchvision's weight sets."""
    path = Path(weights).expanduser()
    if path.is_file():
        return current_names(_read(path))
    return torchvision_weights(plan.model.architecture.arguments.get("name", ""), weights)


def _read(path: Path) -> dict[str, torch.Tensor]:
    try:
        return unwrapped(torch.load(path, map_location="cpu", weights_only=True))
    except pickle.UnpicklingError as error:
        what = "is no file of tensors that can be read without running code from it"
        raise ValueError(f"{what}; write one with torch.save(model.state_dict(), FILE)") from error


def unwrapped(content: Any) -> dict[str, torch.Tensor]:
    """Return the state dict inside what a training saved: below one of `WRAPPERS`, names without `PREFIXES`.

    ValueError if there is none.
    """
    while isinstance(content, Mapping) and (inner := [content[key] for key in WRAPPERS if _holds(content, key)]):
        content = inner[0]
    if not isinstance(content, Mapping):
        raise ValueError(f"holds a {type(content).__name__}, not a state dict: a mapping from names to tensors")
    state = dict(content)
    while state and (before := [each for each in PREFIXES if all(str(name).startswith(each) for name in state)]):
        state = {name.removeprefix(before[0]): tensor for name, tensor in state.items()}
    return state


def _holds(content: Mapping[Any, Any], key: str) -> bool:
    return isinstance(content.get(key), Mapping)
