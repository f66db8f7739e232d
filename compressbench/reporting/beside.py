"""Beside: rows that differ in one thing from another one, as a student from itself without its teacher."""

from __future__ import annotations

from compressbench.core.metric import MetricSpec
from compressbench.reporting import formatting
from compressbench.reporting.comparison import Comparison
from compressbench.reporting.page import Grid


def beside_grid(comparisons: list[Comparison]) -> Grid:
    """Return a line for each row that names another one of its table (`reference.beside`), measured on the same data.

    The difference is paired by seed; seeds that only one of the two has are in its mean but not in the difference.
    """
    score = comparisons[0].score if comparisons else None
    grid = Grid("Beside another row", _headings(score) if score else [], left=3)
    for comparison in comparisons:
        other = _other(comparison, comparisons)
        if other is None:
            continue
        names = [comparison.row, other.row]
        if comparison.records and other.records:
            grid.rows.append([*names, *_ours(other, comparison)])
            names = ["", ""]
        printed = [side.reference.figures.get(side.primary) for side in (other, comparison)]
        if printed[0] is not None and printed[1] is not None:
            cells = [formatting.shown(comparison.score, value) for value in printed]
            cells.append(formatting.difference(comparison.score, printed[1] - printed[0]))
            grid.rows.append([*names, "published", *cells])
    return grid


def _other(comparison: Comparison, comparisons: list[Comparison]) -> Comparison | None:
    """Return the row that this one stands beside: of the same protocol, if both keep to one."""
    name, of = comparison.reference.beside, (comparison.dataset, comparison.protocol)
    rows = [each for each in comparisons if each.row == name != comparison.row and each.dataset == of[0]]
    same = [each for each in rows if each.protocol == of[1]]
    return next(iter(same or [each for each in rows if not (each.protocol and of[1])]), None)


def _headings(score: MetricSpec) -> list[str]:
    sides = (f"{score.heading} of that", score.heading)
    between = formatting.change_title(score).replace("change", "difference")
    return ["row", "beside", "figures", *(formatting.title(score, side) for side in sides), between]


def _ours(other: Comparison, comparison: Comparison) -> list[str]:
    name, score = comparison.primary, comparison.score
    after = [
        {record.seed: record.final.metrics[name] for record in side.records if name in record.final.metrics}
        for side in (other, comparison)
    ]
    paired = sorted(after[0].keys() & after[1].keys())
    difference = formatting.estimate([after[1][seed] - after[0][seed] for seed in paired])
    seeds = f"{len(paired)} seed{'' if len(paired) == 1 else 's'}"
    return [
        formatting.listed(comparison.dataset, comparison.protocol, seeds),
        *(formatting.shown(score, side.after.get(name)) for side in (other, comparison)),
        formatting.difference(score, difference),
    ]
