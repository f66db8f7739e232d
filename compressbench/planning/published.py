"""Published figures belong to a row as its recipe has it, not to everything that can be made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from compressbench.core.budget import Reference
from compressbench.core.errors import PlanError
from compressbench.core.plan import Plan
from compressbench.core.structure import changed, structure
from compressbench.planning.build import build
from compressbench.planning.compose import compose

CHANGING = ("stages", "model", "dataset", "debug")


def with_its_reference(plan: Plan, overrides: Sequence[str]) -> Plan:
    """Return the plan, without the row's published figures if the overrides made another network, other stages or
    other data of it. How long it is trained, and where its data lies, makes no other row."""
    if not any(override.lstrip("+~").partition("=")[0].split(".")[0] in CHANGING for override in overrides):
        return plan
    try:
        row, _ = build(compose([f"recipe={plan.recipe}"]))
    except PlanError:  # a recipe of a --config-dir, which is not known here
        row = None
    same = row is not None and not changed(structure(plan.as_dict()), structure(row.as_dict()))
    return plan if same and row and plan.dataset.name == row.dataset.name else replace(plan, reference=Reference())
