"""`compressbench check`: what a recipe, or every point of a sweep, will do, and all that is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

from rich.console import Console

from compressbench.core.errors import Fault, PlanError
from compressbench.core.plan import Plan, PlannedStage
from compressbench.planning.build import build
from compressbench.planning.compose import config_loader
from compressbench.planning.diagnose import composed
from compressbench.planning.settings import settings
from compressbench.planning.swept import read_sweep
from compressbench.reporting.plan_table import plan_table, points_grid
from compressbench.reporting.render import rich_grid
from compressbench.running.environment import usable_device
from compressbench.running.forecast import forecast


class Checked(NamedTuple):
    """One configuration: its plan, if there is one, what its stages will do, and everything that is wrong."""

    plan: Plan | None
    stages: list[PlannedStage]
    faults: list[Fault]


def print_check(overrides: Sequence[str], further: str | None, console: Console) -> int:
    """Print what one configuration will do. PlanError with everything that is wrong with it, after that."""
    found = check(overrides, further)
    if found.plan is not None:
        console.print(plan_table(found.plan, found.stages))
    if found.faults:
        raise PlanError(found.faults)
    return 0


def print_sweep_check(overrides: Sequence[str], further: str | None, console: Console) -> int:
    """Print a line a point of a sweep. PlanError with everything that is wrong with any of them, after that."""
    sweep = read_sweep(list(overrides), config_loader(further))
    points = [dict(zip(sweep.values, values, strict=True)) for values in product(*sweep.values.values())]
    found = [check([*sweep.fixed, *(f"{key}={value}" for key, value in point.items())], further) for point in points]
    predicted = next((each.plan.predicted for each in found if each.plan is not None), [])
    console.print(rich_grid(points_grid(points, [(each.stages, len(each.faults)) for each in found], predicted)))
    where: dict[Fault, list[str]] = {}
    for point, each in zip(points, found, strict=True):
        for fault in each.faults:
            where.setdefault(fault, []).append(" ".join(f"{key}={value}" for key, value in point.items()))
    if where:
        raise PlanError(_of_points(fault, names, len(points)) for fault, names in where.items())
    return 0


def check(overrides: Sequence[str], further: str | None = None) -> Checked:
    """Compose, build and dry-run a configuration."""
    try:
        config = composed(overrides, further)
    except PlanError as error:
        return Checked(None, [], list(error.faults))
    plan, faults = build(config, overrides)
    try:
        given = settings(config)
    except PlanError:  # which `build` has said
        return Checked(None, [], faults)
    device, unusable = usable_device(given.device, given.threads)
    faults += unusable
    if plan is None:
        return Checked(None, [], faults)
    try:
        stages, more = forecast(plan, given.folder, device)
    except PlanError as error:  # the network cannot take such images
        return Checked(None, [], [*faults, *error.faults])
    return Checked(plan, stages, faults + more)


def _of_points(fault: Fault, points: list[str], total: int) -> Fault:
    """Return the fault, with the points it belongs to unless these are all."""
    if len(points) == total:
        return fault
    shown = "; ".join(points[:3]) + (f"; and {len(points) - 3} more" if len(points) > 3 else "")
    return Fault(fault.where, f"{fault.what} ({shown})")
