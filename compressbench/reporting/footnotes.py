"""Footnotes: what has to be said of one row: misprints, where it breaks down, what was left out, broken limits."""

from __future__ import annotations

from collections.abc import Iterable

from compressbench.reporting import formatting
from compressbench.reporting.comparison import Comparison

LOST = 0.1
"""A row whose primary metric is a fraction and drops by more than this breaks down."""

CHANCE = 2
"""So does one that ends below this many times chance."""


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
    """Return a sentence if the row breaks down, as `breakdown_remarks` says."""
    score, classes = comparison.score, _classes(comparison)
    after, change = comparison.after.get(score.name), comparison.change.get(score.name)
    if score.unit != "fraction" or after is None:
        return []
    words = []
    if change is not None and change.mean < -LOST:
        words.append(f"{-change.mean * 100:.2f} points of {score.heading} are lost")
    if classes and after.mean < CHANCE / classes:
        words.append(f"{score.heading} of {formatting.percent(after.mean)} % is near chance ({100 / classes:g} %)")
    return [f"It breaks down: {' and '.join(words)}."] if words else []


def breakdown_remarks(comparisons: Iterable[Comparison]) -> list[str]:
    """Return the rule, if one of the rows breaks down by it."""
    broken = [comparison.score.heading for comparison in comparisons if breakdown(comparison)]
    return [
        f"A row breaks down, and a note says so, if it loses more than {LOST * 100:g} points of {name} to compression "
        f"or ends below {CHANCE} times chance, 1 in as many as there are classes."
        for name in broken[:1]
    ]


def _classes(comparison: Comparison) -> int:
    """Return the number of classes; 0 if the records do not say it."""
    parts = [record.plan.get(part, {}) for record in comparison.records for part in ("model", "dataset")]
    return next((int(part["classes"]) for part in parts if part.get("classes")), 0)
