"""Everything that is wrong with a configuration that does not even compose.

Hydra stops at its first complaint. Here the guilty override, or the name that a recipe gives, is put aside, or replaced
by what was probably meant, and the rest is composed again, until it composes; then `build` says what else is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from omegaconf import DictConfig

from compressbench.core.errors import Fault, PlanError, suggestion
from compressbench.planning.compose import compose
from compressbench.planning.recipe import GROUPS
from compressbench.planning.stages import chosen_by_default

PLACEHOLDERS = {"model": "alexnet", "dataset": "digits"}
"""What stands for an unknown name that is like none we have, so that the rest can be composed; else the default."""


def composed(overrides: Sequence[str], further: str | None = None) -> DictConfig:
    """Return what `compose` does; a PlanError says everything that is wrong."""
    try:
        return compose(overrides, further)
    except PlanError as error:
        raise PlanError(all_faults(overrides, error.faults, further)) from error


def all_faults(overrides: Sequence[str], first: Sequence[Fault], further: str | None = None) -> list[Fault]:
    """Return the faults that Hydra stopped at, and what else is wrong. first: the fault it stopped at first.

    What is said of a part that had to be put aside is left out, for it is not what was written.
    """
    faults, found, repair = list(first), list(first), Repair(list(overrides))
    config: DictConfig | None = None
    while config is None:
        if not repair.without(found[0]):
            return faults
        try:
            config = compose(repair.overrides, further)
        except PlanError as error:
            found = list(error.faults)
            faults += [fault for fault in found if fault not in faults]
    from compressbench.planning.build import build  # imports torch

    faults = [_stage_to_delete(fault, config) for fault in faults]
    more = [fault for fault in build(config, repair.overrides)[1] if not repair.made(fault)]
    return faults + [fault for fault in more if fault not in faults]


def _stage_to_delete(fault: Fault, config: DictConfig) -> Fault:
    """Return the fault of a stage that is not there to be deleted with the nearest one, any other as it is."""
    stage, stages = fault.where.removeprefix("~stages."), config.get("stages")
    if stage == fault.where or "." in stage or not isinstance(stages, DictConfig):
        return fault
    return Fault(fault.where, f"there is no such stage to delete; {suggestion(stage, map(str, stages))}")


class Repair:
    """Overrides that are made to compose. aside: the parts of the configuration that are no longer as written."""

    def __init__(self, overrides: list[str]):
        self.overrides = overrides
        self.aside: set[str] = set()
        self.tried: set[str] = set()

    def without(self, fault: Fault) -> bool:
        """Put aside what the fault is about; return whether that could be told, and was not tried before."""
        guilty = [text for text in self.overrides if fault.where in (text, _key(text), f"~{_key(text)}")]
        if fault.where.startswith(("launcher", "hydra")):
            guilty += [text for text in self.overrides if _key(text).startswith(("launcher", "hydra"))]
        known = fault.where in GROUPS or bool(guilty)
        if fault.where in self.tried or not known:
            return False
        self.tried.add(fault.where)
        self.overrides = [text for text in self.overrides if text not in guilty]
        if fault.where in ("recipe", *GROUPS):
            self._replace(fault)
        return True

    def _replace(self, fault: Fault) -> None:
        """Choose what was probably meant, or else anything, whose keys then say nothing."""
        part, near = fault.where, re.search("did you mean '(.+?)'", fault.what)
        if near:
            self.aside.add(part)
            self.overrides.append(f"{part}={near.group(1)}")
        elif part == "recipe":
            self.aside |= {f"{each}." for each in (*GROUPS, "stages")} | {part, "stages", *GROUPS}
        else:
            self.aside |= {part, f"{part}."}
            self.overrides = [text for text in self.overrides if not _key(text).startswith(f"{part}.")]
            self.overrides.append(f"{part}={PLACEHOLDERS.get(part) or chosen_by_default(part)}")

    def made(self, fault: Fault) -> bool:
        """Return whether a fault comes from what was put aside."""
        return fault.where in self.aside or any(fault.where.startswith(part) for part in self.aside if part[-1] == ".")


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~")
