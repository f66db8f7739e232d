"""A check: what a recipe, or every point of a sweep, will do, and all that is wrong with it, without training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from compressbench.core.errors import Fault, PlanError
from compressbench.core.plan import Plan, PlannedStage

if TYPE_CHECKING:
    from rich.console import Group


class Checked(NamedTuple):
    """One configuration: its plan, if there is one, what its stages will do, and everything that is wrong."""

    plan: Plan | None
    stages: list[PlannedStage]
    faults: list[Fault]

    def table(self) -> Group | None:
        """Return a row a stage, for a console; None if there is no plan."""
        from compressbench.reporting.plan_table import plan_table

        return plan_table(self.plan, self.stages) if self.plan else None


class CheckedSweep(NamedTuple):
    """The points of a sweep: what varies, by key, and what was found."""

    points: list[dict[str, str]]
    found: list[Checked]

    @property
    def faults(self) -> list[Fault]:
        """Everything that is wrong, each fault once, with the points it belongs to unless these are all."""
        where: dict[Fault, list[str]] = {}
        for point, each in zip(self.points, self.found, strict=True):
            for fault in each.faults:
                where.setdefault(fault, []).append(" ".join(f"{key}={value}" for key, value in point.items()))
        return [_of_points(fault, names, len(self.points)) for fault, names in where.items()]

    def table(self) -> Any:
        """Return a row a point, for a console."""
        from compressbench.reporting.plan_table import points_grid
        from compressbench.reporting.render import rich_grid

        predicted = next((each.plan.predicted for each in self.found if each.plan is not None), [])
        return rich_grid(points_grid(self.points, [(each.stages, len(each.faults)) for each in self.found], predicted))


def check(overrides: Sequence[str], further: str | None = None) -> Checked:
    """Compose, build and dry-run a configuration. further: one more folder of config groups."""
    from compressbench.planning.build import build
    from compressbench.planning.diagnose import composed
    from compressbench.planning.settings import settings
    from compressbench.running.environment import usable_device
    from compressbench.running.forecast import forecast

    try:
        config = composed(overrides, further)
    except PlanError as error:
        return Checked(None, [], list(error.faults))
    try:
        given = settings(config)
    except PlanError:  # which `build` says
        return Checked(None, [], build(config, overrides)[1])
    plan, faults = build(config, overrides, given)
    faults += _faults_of_axes(overrides, further)
    device, unusable = usable_device(given.device, given.threads)
    faults += unusable
    if plan is None:
        return Checked(None, [], faults)
    try:
        stages, more = forecast(plan, given.folder, device)
    except PlanError as error:  # the network cannot take such inputs
        return Checked(None, [], [*faults, *error.faults])
    return Checked(plan, stages, faults + more)


def _faults_of_axes(overrides: Sequence[str], further: str | None) -> list[Fault]:
    """Return what is wrong with what the recipe says shall be swept."""
    from compressbench.app.sweep import swept_by_recipe

    try:
        swept_by_recipe(overrides, further)
    except PlanError as error:
        return list(error.faults)
    return []


def check_sweep(overrides: Sequence[str], further: str | None = None) -> CheckedSweep:
    """Check every point of a sweep. PlanError for a sweep over nothing."""
    from compressbench.app.sweep import checked_sweep

    points = checked_sweep(overrides, further).points
    return CheckedSweep([point.values for point in points], [check(point.overrides, further) for point in points])


def _of_points(fault: Fault, points: list[str], total: int) -> Fault:
    """Return the fault, with the points it belongs to unless these are all."""
    if len(points) == total:
        return fault
    shown = "; ".join(points[:3]) + (f"; and {len(points) - 3} more" if len(points) > 3 else "")
    return Fault(fault.where, f"{fault.what} ({shown})")
