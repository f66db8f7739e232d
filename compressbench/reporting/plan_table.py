"""What `check` prints: the stages of a plan and what is predicted of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from compressbench.core.metric import MetricSpec, plain
from compressbench.core.plan import Plan, PlannedStage
from compressbench.core.structure import flatten
from compressbench.core.task import shapes
from compressbench.reporting.formatting import listed
from compressbench.reporting.page import Grid

if TYPE_CHECKING:
    from rich.console import Group

BY_WEIGHTS = "by weights: depends on the trained weights, known only after the run"
FILE = "of the packed file without its note (where it comes from and its figures: a few hundred bytes more)"
TIME = "time: by the earlier runs on this machine of this network on this data; empty where there are none"


def plan_table(plan: Plan, stages: list[PlannedStage]) -> Group:
    """Return the plan for a console: a row a stage, then the limits of the budget and what will be left out."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    shape = shapes(plan.dataset.task.example())
    heading = Text.assemble((plan.recipe, "bold"), f"  {plan.model.name} on {plan.dataset.name} ({shape})")
    protocol = f"protocol {plan.protocol}" if plan.protocol else ""
    heading.append(f"  {listed(protocol, f'seed {plan.seed}')}")
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("stage", "technique", "set to", "epochs", "cached"):
        table.add_column(column, overflow="fold")
    for title in (*(_title(spec) for spec in plan.predicted), "time"):
        table.add_column(title, justify="right", no_wrap=True)
    settings = plan.as_dict()["stages"]
    for stage in stages:
        for read in stage.reads:
            known = "yes" if read.cached else "no"
            table.add_row(read.name, read.kind, f"read by {stage.name}", str(read.epochs or ""), known)
        given = {key: value for key, value in settings[stage.name].items() if key != "technique"}
        table.add_row(
            *(stage.name, stage.kind, _brief(given), str(stage.epochs or ""), "yes" if stage.cached else "no"),
            *(_count(stage, spec.name) for spec in plan.predicted),
            "" if stage.seconds is None else _duration(stage.seconds),
        )
    lines: list[Any] = [heading, table]
    if any(spec.name not in stage.counts for stage in stages for spec in plan.predicted):
        lines.append(Text(BY_WEIGHTS, style="dim"))
    lines += [Text(f"{spec.heading}: {FILE}", style="dim") for spec in plan.predicted if spec.unit == "bytes"]
    lines.append(Text(TIME, style="dim"))
    limits = plan.budget.as_dict()
    lines.append(Text("budget: " + (_brief(limits) if limits else "no limits")))
    for stage in stages:
        lines += [Text(f"left out by {stage.name}: {what}: {why}", style="yellow") for what, why in stage.skipped]
    return Group(*lines)


def _count(stage: PlannedStage, name: str) -> str:
    return plain(stage.counts[name]) if name in stage.counts else "by weights"


def _title(spec: MetricSpec) -> str:
    return f"{spec.heading}, bytes" if spec.unit == "bytes" else spec.heading


def _duration(seconds: float) -> str:
    """Return seconds as `0 s`, `12 s`, `3 min` or `2.5 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _brief(values: dict[str, Any]) -> str:
    flat = flatten({**values.get("training", {}), **{key: each for key, each in values.items() if key != "training"}})
    return ", ".join(f"{key}={value}" for key, value in flat.items() if value not in (None, [], {}, ""))


def points_grid(
    points: list[dict[str, str]], found: list[tuple[list[PlannedStage], int]], predicted: Sequence[MetricSpec]
) -> Grid:
    """Return a row a point of a sweep: what varies, all stages' epochs and seconds, and what is predicted at the end.

    points: value by key. found: of each point the stages, empty if it has no plan, and the number of its faults.
    predicted: what has a column (`Plan.predicted`).
    """
    keys = list(points[0]) if points else []
    grid = Grid("", [*keys, "epochs", *map(_title, predicted), "time", "faults"], left=len(keys))
    for point, (stages, faults) in zip(points, found, strict=True):
        known = [stage.seconds for stage in stages if stage.seconds is not None]
        seconds = _duration(sum(known)) if stages and len(known) == len(stages) else ""
        counted = [_count(stages[-1], spec.name) if stages else "" for spec in predicted]
        epochs = str(sum(stage.epochs for stage in stages)) if stages else ""
        grid.rows.append([*point.values(), epochs, *counted, seconds, str(faults or "none")])
    return grid
