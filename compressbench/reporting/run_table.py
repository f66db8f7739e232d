"""Run table: what a run shows at its end, a row a stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from compressbench.core.budget import Reference
from compressbench.core.record import RunRecord
from compressbench.reporting import formatting
from compressbench.reporting.latency import HEADINGS, timings
from compressbench.reporting.page import Grid

if TYPE_CHECKING:
    from rich.console import Group

FIGURES: dict[str, tuple[str, Callable[[float | None], str]]] = {
    "top1 %": ("top1", formatting.percent),
    "top5 %": ("top5", formatting.percent),
    "params": ("params", formatting.count),
    "non-zero": ("params_nonzero", formatting.count),
    "MACs": ("macs", formatting.count),
    "survey FLOPs": ("flops_survey", formatting.count),
    "file": ("size_bytes", formatting.size),
}
"""The figures of a stage or a run: heading, name of the metric, how it is shown."""

OPTIONAL = ("time", "technique", "top5 %", "non-zero", "survey FLOPs", "file")


def run_table(record: RunRecord) -> Group:
    """Return a run's result for a console: its stages, the published figures beneath, what was missed or left out.

    change: top1 minus that before compression; empty where there was nothing before.
    """
    from rich.console import Group
    from rich.text import Text

    from compressbench.reporting.render import rich_grid

    said = formatting.listed(record.dataset["name"], record.protocol, f"seed {record.seed}")
    heading = Text.assemble((record.recipe, "bold"), f"  {said}, {formatting.duration(record.seconds)}")
    lines: list[Any] = [heading, rich_grid(stage_grid(record))]
    final = record.final.metrics if record.networks else {}
    if timed := timings({name: formatting.Estimate(value) for name, value in final.items()}):
        lines.append(rich_grid(Grid("Latency", HEADINGS, timed)))
    styles = {"limit missed": "bold red", record.status: "bold red", "note": "dim"}
    for sentence in remarks(record):
        lines.append(Text(sentence, style=styles.get(sentence.partition(":")[0], "yellow")))
    return Group(*lines)


def in_a_line(record: RunRecord) -> str:
    """Return the final figures of a run: `done in 12 s: top1 93.33 %, change +14.17 points, 6,519 kB, budget met`."""
    final, first = record.final.metrics, record.before
    top1, before = final.get("top1"), first.metrics.get("top1") if first else None
    said = [
        "" if top1 is None else f"top1 {formatting.percent(top1)} %",
        "" if top1 is None or before is None else f"change {formatting.points(top1 - before)} points",
        formatting.size(final.get("size_bytes")),
        "" if "macs" not in final else f"{formatting.count(final['macs'])} MACs",
    ]
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
    top1, *others = FIGURES
    grid = Grid("", ["stage", "technique", top1, "change, points", *others, "time"], left=2, optional=OPTIONAL)
    published = Reference.of(record.reference)
    top1_before = None
    for stage in record.networks:
        if stage is record.before:
            top1_before = stage.metrics.get("top1")
        time = "cached" if stage.cached else formatting.duration(stage.seconds)
        grid.rows.append([stage.name, stage.kind, *_figures(stage.metrics, top1_before), time])
    before, start = published.before, published.before.get("top1")
    for name, found, first in (("published before", before, None), ("published", published.figures, start)):
        shown = _figures(found, first)
        if any(shown):
            grid.rows.append([name, "", *shown, ""])
    return grid.without_empty_columns()


def _figures(found: Mapping[str, Any], top1_before: float | None) -> list[str]:
    top1 = found.get("top1")
    change = "" if top1 is None or top1_before is None else formatting.points(top1 - top1_before)
    shown = [shape(found.get(name)) for name, shape in FIGURES.values()]
    return [shown[0], change, *shown[1:]]
