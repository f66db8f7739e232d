"""Footnotes: what has to be said of one row: misprints, where it breaks down, what was left out, broken limits."""

from __future__ import annotations

from collections.abc import Iterable

from compressbench.reporting import formatting
from compressbench.reporting.comparison import Comparison

LOST = 0.1
"""A row that loses more of top1 than this breaks down."""

CHANCE = 2
"""So does one that ends below this many times chance."""

OF_BREAKDOWNS = (
    f"A row breaks down, and a note says so, if it loses more than {LOST * 100:g} points of top1 to compression or "
    f"ends below {CHANCE} times chance, 1 in as many as there are classes."
)


def row_notes(comparison: Comparison) -> list[str]:
    """Return the footnotes of one row: misprints, breakdowns, what techniques left out, limits that were broken."""
    notes = [comparison.reference.note.strip()] if comparison.reference.note.strip() else []
    notes += breakdown(comparison)
    for stage in dict.fromkeys(stage.name for record in comparison.records for stage in record.stages):
        skipped: dict[str, list[str]] = {}
        for record in comparison.records:
            for what, why in next((s.skipped for s in record.stages if s.name == stage), []):
                if what not in skipped.setdefault(why, []):
                    skipped[why].append(what)
        if skipped:
            parts = [f"{', '.join(what)}: {why}" for why, what in skipped.items()]
            notes.append(f"{stage} left out {'; '.join(parts)}.")
    for record in comparison.records:
        notes += [f"Limit missed with seed {record.seed}: {sentence}" for sentence in record.missed]
    return notes


def breakdown(comparison: Comparison) -> list[str]:
    """Return a sentence if the row breaks down, as `OF_BREAKDOWNS` says."""
    after, change, classes = comparison.after.get("top1"), comparison.change.get("top1"), _classes(comparison)
    words = []
    if after is not None and change is not None and change.mean < -LOST:
        words.append(f"{-change.mean * 100:.2f} points of top1 are lost")
    if after is not None and classes and after.mean < CHANCE / classes:
        words.append(f"top1 of {formatting.percent(after.mean)} % is near chance ({100 / classes:g} %)")
    return [f"It breaks down: {' and '.join(words)}."] if words else []


def breakdown_remarks(comparisons: Iterable[Comparison]) -> list[str]:
    """Return the rule, if one of the rows breaks down by it."""
    return [OF_BREAKDOWNS] if any(map(breakdown, comparisons)) else []


def _classes(comparison: Comparison) -> int:
    """Return the number of classes; 0 if the records do not say it."""
    parts = [record.plan.get(part, {}) for record in comparison.records for part in ("model", "dataset")]
    return next((int(part["classes"]) for part in parts if part.get("classes")), 0)
