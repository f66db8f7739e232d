"""Everything that is wrong with a configuration that does not even compose.

Hydra stops at its first complaint. Here the guilty override, or the name that a recipe gives, is put aside, or replaced
by what was probably meant, and the rest is composed again, until it composes; then `build` says what else is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from omegaconf import DictConfig

from compressbench.core.faults import Fault, PlanError
from compressbench.planning.compose import compose
from compressbench.planning.recipe import GROUPS

PLACEHOLDERS = {"model": "alexnet", "dataset": "digits", "training": "paper", "tracking": "mlflow", "debug": "none"}
"""What stands for an unknown name that is like none we have, so that the rest can be composed."""


def composed(overrides: Sequence[str], further: str | None = None) -> DictConfig:
    """Return what `compose` does; a PlanError says everything that is wrong."""
    try:
        return compose(overrides, further)
    except PlanError as error:
        raise PlanError(all_faults(overrides, error.faults, further)) from error


def all_faults(overrides: Sequence[str], first: Sequence[Fault], further: str | None = None) -> list[Fault]:
    """Return the faults that Hydra stopped at, and what else is wrong. first: the fault it stopped at first.

    What is said of a part that had to be replaced is left out, for it is not what was written.
    """
    faults, rest, found = list(first), list(overrides), list(first)
    replaced: set[str] = set()
    config: DictConfig | None = None
    while config is None:
        repaired = _without(rest, found[0], replaced)
        if repaired is None:
            return faults
        rest = repaired
        try:
            config = compose(rest, further)
        except PlanError as error:
            found = list(error.faults)
            faults += [fault for fault in found if fault not in faults]
    from compressbench.planning.build import build  # imports torch

    more = [fault for fault in build(config, rest)[1] if not _concerns(fault, replaced)]
    return faults + [fault for fault in more if fault not in faults]


def _without(overrides: list[str], fault: Fault, replaced: set[str]) -> list[str] | None:
    """Return the overrides without what a fault is about; None if that cannot be told, or was tried already."""
    guilty = [text for text in overrides if fault.where in (text, _key(text), f"~{_key(text)}")]
    if fault.where in replaced:
        return None
    rest = [text for text in overrides if text not in guilty]
    if fault.where in GROUPS:
        replaced.add(fault.where)
        near = re.search("did you mean '(.+?)'", fault.what)
        if near:
            return [*rest, f"{fault.where}={near.group(1)}"]
        # Its own keys are those of something else.
        rest = [text for text in rest if not _key(text).startswith(f"{fault.where}.")]
        return [*rest, f"{fault.where}={PLACEHOLDERS[fault.where]}"]
    if not guilty:
        return None
    if fault.where == "recipe":  # whatever it would have named is missing now
        replaced.update(("recipe", "stages", *GROUPS))
    return rest


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~")


def _concerns(fault: Fault, replaced: set[str]) -> bool:
    return fault.where in replaced or ("recipe" in replaced and fault.where.partition(".")[0] in replaced)
