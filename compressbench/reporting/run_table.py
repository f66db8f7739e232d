"""Run table: what a run shows at its end, a row a stage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from compressbench.core.budget import Reference
from compressbench.core.record import RunRecord
from compressbench.core.specs import columns, costs
from compressbench.reporting import formatting
from compressbench.reporting.page import Grid
from compressbench.reporting.small_tables import of_run

if TYPE_CHECKING:
    from rich.console import Group


def run_table(record: RunRecord) -> Group:
    """Return a run's result for a console: its stages, the published figures beneath, what was missed or left out.

    change: the primary metric minus that before compression; empty where there was nothing before.
    """
    from rich.console import Group
    from rich.text import Text

    from compressbench.reporting.render import rich_grid

    said = formatting.listed(record.dataset["name"], record.protocol, f"seed {record.seed}")
    heading = Text.assemble((record.recipe, "bold"), f"  {said}, {formatting.duration(record.seconds)}")
    lines: list[Any] = [heading, rich_grid(stage_grid(record))]
    final = record.final.metrics if record.networks else {}
    lines += [rich_grid(grid) for grid in of_run(record.metric_specs, final)]
    styles = {"limit missed": "bold red", record.status: "bold red", "note": "dim"}
    for sentence in remarks(record):
        lines.append(Text(sentence, style=styles.get(sentence.partition(":")[0], "yellow")))
    return Group(*lines)


def in_a_line(record: RunRecord) -> str:
    """Return the final figures of a run: `done in 12 s: top1 93.33 %, change +14.17 points, 6,519 kB, budget met`."""
    final, first, specs = record.final.metrics, record.before, record.metric_specs
    primary, said = specs.get(record.primary), []
    if primary is not None and primary.name in final:
        shown = formatting.shown(primary, final[primary.name])
        said.append(f"{primary.heading} {shown} {formatting.sign(primary)}".strip())
        if first and primary.name in first.metrics:
            change = formatting.difference(primary, final[primary.name] - first.metrics[primary.name])
            said.append(f"change {formatting.in_units(primary, change)}")
    for spec in costs(specs):
        if spec.name in final:
            shown = formatting.shown(spec, final[spec.name])
            said.append(shown if spec.unit == "bytes" else f"{shown} {spec.heading}")
    if record.missed:
        said.append("budget missed: " + "; ".join(record.missed))
    elif record.plan.get("budget"):
        said.append("budget met")
    return f"done in {formatting.duration(record.seconds)}: {', '.join(filter(None, said))}"


def remarks(record: RunRecord) -> list[str]:
    """Return what has to be said beside the figures: limits missed, parts left out, misprints, why it failed."""
    said = [f"limit missed: {sentence}" for sentence in record.missed]
    if record.given is not None and (how := record.given.setting.get("weights")):
        said.append(f"note: given weights: {how}")
    said += [f"left out by {stage.name}: {what}: {why}" for stage in record.stages for what, why in stage.skipped]
    for row in record.layers:
        if operators := row.get("not_counted"):
            said.append(
                f"not counted: the MACs of {row['name']} ({row['kind']}): no formula for {', '.join(operators)}"
            )
    if record.reference.get("note"):
        said.append(f"note: {record.reference['note']}")
    return said if record.status == "finished" else [*said, f"{record.status}: {record.error}"]


def stage_grid(record: RunRecord) -> Grid:
    """Return the table as data."""
    specs = {spec.name: spec for spec in columns(record.metric_specs)}
    primary = specs.pop(record.primary, None)
    scored = [formatting.title(primary), formatting.change_title(primary)] if primary else []
    titles = [formatting.title(spec) for spec in specs.values()]
    optional = ("time", "technique", *reversed(titles))
    grid = Grid("", ["stage", "technique", *scored, *titles, "time"], left=2, optional=optional)
    published, start = Reference.of(record.reference), None

    def cells(found: Mapping[str, Any], start: float | None) -> list[str]:
        own = found.get(record.primary)
        change = None if own is None or start is None else own - start
        first = [formatting.shown(primary, own), formatting.difference(primary, change)] if primary else []
        return first + [formatting.shown(spec, found.get(name)) for name, spec in specs.items()]

    for stage in record.networks:
        if stage is record.before:
            start = stage.metrics.get(record.primary)
        time = "cached" if stage.cached else formatting.duration(stage.seconds)
        grid.rows.append([stage.name, stage.kind, *cells(stage.metrics, start), time])
    was = published.before.get(record.primary)
    for name, found, first in (("published before", published.before, None), ("published", published.figures, was)):
        shown = cells(found, first)
        if any(shown):
            grid.rows.append([name, "", *shown, ""])
    return grid.without_empty_columns()
