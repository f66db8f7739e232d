"""Run table: what a run shows at its end, a row a stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compressbench.core.record import RunRecord, StageRecord
from compressbench.reporting import figures
from compressbench.reporting.page import Grid

if TYPE_CHECKING:
    from rich.console import Group

HEADINGS = ["stage", "technique", "top1 %", "change, points", "top5 %", "params", "non-zero"]
HEADINGS += ["MACs", "survey FLOPs", "file", "time"]
OPTIONAL = ("time", "technique", "top5 %", "non-zero", "survey FLOPs", "file")


def run_table(record: RunRecord) -> Group:
    """Return a run's result for a console: its stages, the published figures beneath, what was missed or left out.

    change: top1 minus that of the first stage.
    """
    from rich.console import Group
    from rich.text import Text

    from compressbench.reporting.render import rich_grid

    heading = Text.assemble(
        (record.recipe, "bold"), f"  {record.dataset['name']}, {record.protocol}, seed {record.seed}"
    )
    heading.append(f", {figures.duration(record.seconds)}")
    lines: list[Any] = [heading, rich_grid(stage_grid(record))]
    lines += [Text(f"limit missed: {sentence}", style="bold red") for sentence in record.missed]
    for stage in record.stages:
        lines += [Text(f"left out by {stage.name}: {what}: {why}", style="yellow") for what, why in stage.skipped]
    if record.reference.get("note"):
        lines.append(Text(f"note: {record.reference['note']}", style="dim"))
    if record.status != "finished":
        lines.append(Text(f"{record.status}: {record.error}", style="bold red"))
    return Group(*lines)


def stage_grid(record: RunRecord) -> Grid:
    """Return the table as data."""
    first = record.stages[0].measurements.get("top1") if record.stages else None
    grid = Grid("", HEADINGS, [_stage_row(stage, first) for stage in record.stages], 2, OPTIONAL)
    published = record.reference
    before = published.get("before") or {}
    if before:
        grid.rows.append(_published_row("published before", before, None))
    row = _published_row("published", published, before.get("top1"))
    if any(row[2:]):
        grid.rows.append(row)
    return grid.without_empty_columns()


def _stage_row(stage: StageRecord, first: float | None) -> list[str]:
    value = stage.measurements.get
    top1 = value("top1")
    return [
        stage.name,
        stage.kind,
        figures.percent(top1),
        "" if top1 is None or first is None else figures.points(top1 - first),
        figures.percent(value("top5")),
        figures.count(value("params")),
        figures.count(value("params_nonzero")),
        figures.count(value("macs")),
        figures.count(value("flops_survey")),
        figures.size(value("size_bytes")),
        "cached" if stage.cached else figures.duration(stage.seconds),
    ]


def _published_row(name: str, published: dict[str, Any], before: float | None) -> list[str]:
    top1 = published.get("top1")
    return [
        name,
        "",
        figures.percent(top1),
        "" if top1 is None or before is None else figures.points(top1 - before),
        figures.percent(published.get("top5")),
        figures.count(published.get("params")),
        "",
        figures.count(published.get("macs")),
        figures.count(published.get("flops_survey")),
        "",
        "",
    ]
