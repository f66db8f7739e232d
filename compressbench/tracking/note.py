"""The description MLflow shows on top of a run, in Markdown: what was done, what came out, what the paper says."""

from __future__ import annotations

from collections.abc import Mapping

from compressbench.core.record import RunRecord

COLUMNS = {
    "top1": "top1",
    "top5": "top5",
    "params": "params",
    "params_nonzero": "non-zero",
    "macs": "MACs",
    "flops_survey": "survey FLOPs",
    "size_bytes": "bytes",
}


def note(record: RunRecord) -> str:
    """Return the stages as one table, the published figures below them, and what was left out or missed."""
    parts = [f"**{record.recipe}**, protocol `{record.protocol}`, seed {record.seed}", _table(record)]
    if record.error:
        parts.append(f"**Failed:** {record.error}")
    if record.missed:
        parts.append("**Budget missed:**\n" + "\n".join(f"- {sentence}" for sentence in record.missed))
    skipped = [f"- {stage.name}: {what}: {why}" for stage in record.stages for what, why in stage.skipped]
    if skipped:
        parts.append("**Left out:**\n" + "\n".join(skipped))
    source, remark = record.reference.get("source"), record.reference.get("note")
    if source:
        parts.append(
            f"Published: {source}" + (f", on {dataset}" if (dataset := record.reference.get("dataset")) else "")
        )
    if remark:
        parts.append(f"Note: {remark}")
    return "\n\n".join(parts)


def _table(record: RunRecord) -> str:
    rows = [(stage.name, stage.kind, stage.measurements) for stage in record.stages]
    before = record.reference.get("before") or {}
    rows += [(f"published{when}", "", figures) for when, figures in ((", before", before), ("", record.reference))]
    rows = [row for row in rows if any(_known(row[2], key) for key in COLUMNS)]
    shown = [key for key in COLUMNS if any(_known(figures, key) for _, _, figures in rows)]
    if not shown:
        return "Nothing was measured."
    lines = ["| stage | technique | " + " | ".join(COLUMNS[key] for key in shown) + " |"]
    lines.append("|---|---|" + "---:|" * len(shown))
    for name, kind, figures in rows:
        lines.append(f"| {name} | {kind} | " + " | ".join(figure(key, figures.get(key)) for key in shown) + " |")
    return "\n".join(lines)


def _known(figures: Mapping[str, object], key: str) -> bool:
    return figures.get(key) is not None


def figure(key: str, value: float | None) -> str:
    """Return an accuracy as a percentage, a count with separators, nothing for nothing."""
    if value is None:
        return ""
    return f"{value * 100:.2f}\u00a0%" if key.startswith("top") else f"{value:,.0f}"
