"""The subject before the first stage: freshly initialised by the seed, or with given weights."""

from __future__ import annotations

from pathlib import Path

import torch

from compressbench.core.faults import RunError
from compressbench.core.identity import digest
from compressbench.core.plan import Plan
from compressbench.core.subject import Subject


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
        except (OSError, RuntimeError, ValueError) as error:
            raise RunError(f"model.weights={plan.model.weights}: {error}") from error
    return Subject(model, plan.model.architecture)


def _weights(plan: Plan, weights: str) -> dict[str, torch.Tensor]:
    """Return a state dict from a local file (read without running code from it) or from torchvision's weight sets."""
    path = Path(weights).expanduser()
    if path.exists():
        found: dict[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)
        return found
    from compressbench.zoo.torchvision_models import torchvision_weights

    return torchvision_weights(plan.model.architecture.arguments.get("name", ""), weights)
