"""What `check` prints: the stages of a plan and what is predicted of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compressbench.core.plan import Plan, RehearsedStage
from compressbench.reporting.figures import listed

if TYPE_CHECKING:
    from rich.console import Group

COUNTS = {"params": "params", "params_nonzero": "non-zero", "macs": "MACs", "flops_survey": "survey FLOPs"}


def plan_table(plan: Plan, stages: list[RehearsedStage]) -> Group:
    """Return the plan for a console: a row a stage, then the limits of the budget and what will be left out."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    shape = " x ".join(map(str, plan.dataset.input_shape))
    heading = Text.assemble((plan.recipe, "bold"), f"  {plan.model.name} on {plan.dataset.name} ({shape})")
    protocol = f"protocol {plan.protocol}" if plan.protocol else ""
    heading.append(f"  {listed(protocol, f'seed {plan.seed}')}")
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("stage", "technique", "set to", "epochs", "cached"):
        table.add_column(column, overflow="fold")
    for title in COUNTS.values():
        table.add_column(title, justify="right", no_wrap=True)
    settings = plan.as_dict()["stages"]
    for stage in stages:
        given = {key: value for key, value in settings[stage.name].items() if key != "technique"}
        counts = [f"{stage.counts[name]:,}" if stage.counts else "by weights" for name in COUNTS]
        cached = "yes" if stage.cached else "no"
        table.add_row(stage.name, stage.kind, _brief(given), str(stage.epochs or ""), cached, *counts)
    lines: list[Any] = [heading, table]
    if any(not stage.counts for stage in stages):
        lines.append(Text("by weights: depends on the trained weights, known only after the run", style="dim"))
    limits = {name: limit for name, limit in vars(plan.budget).items() if limit is not None}
    lines.append(Text("budget: " + (_brief(limits) if limits else "no limits")))
    for stage in stages:
        lines += [Text(f"left out by {stage.name}: {what}: {why}", style="yellow") for what, why in stage.skipped]
    return Group(*lines)


def _brief(values: dict[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in values.items() if value not in (None, [], {}))
