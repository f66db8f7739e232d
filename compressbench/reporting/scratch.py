"""Scratch: pruned and fine-tuned beside the same architecture trained from scratch (Liu et al. 2019)."""

from __future__ import annotations

from compressbench.core.metric import MetricSpec
from compressbench.reporting import formatting
from compressbench.reporting.comparison import Comparison
from compressbench.reporting.page import Grid

PRUNED, SCRATCH = "_pruned", "_scratch"


def scratch_grid(comparisons: list[Comparison]) -> Grid:
    """Return a row for every `<name>_scratch` beside `<name>_pruned`, or `<name>`, of the same dataset and protocol.

    The difference is paired by seed; seeds that only one of the two has are in its mean but not in the difference.
    """
    score = comparisons[0].score if comparisons else None
    grid = Grid("Trained from scratch beside pruned", _headings(score) if score else [], left=2)
    by_key = {(c.row, c.dataset, c.protocol): c for c in comparisons}
    for (row, dataset, protocol), scratch in by_key.items():
        name = row.removesuffix(SCRATCH)
        pruned = by_key.get((name + PRUNED, dataset, protocol)) or by_key.get((name, dataset, protocol))
        if name == row or pruned is None:
            continue
        if pruned.records:
            grid.rows.append([name, *_ours(pruned, scratch)])
        printed = [side.reference.figures.get(side.primary) for side in (pruned, scratch)]
        if printed[0] is not None and printed[1] is not None:
            cells = [formatting.shown(scratch.score, value) for value in printed]
            cells.append(formatting.difference(scratch.score, printed[1] - printed[0]))
            grid.rows.append(["" if pruned.records else name, "published", *cells])
    return grid


def _headings(score: MetricSpec) -> list[str]:
    sides = (f"pruned, fine-tuned {score.heading}", f"trained from scratch {score.heading}")
    between = formatting.change_title(score).replace("change", "scratch - pruned")
    return ["network", "figures", *(formatting.title(score, side) for side in sides), between]


def _ours(pruned: Comparison, scratch: Comparison) -> list[str]:
    name, score = scratch.primary, scratch.score
    after = [
        {record.seed: record.final.metrics[name] for record in side.records if name in record.final.metrics}
        for side in (pruned, scratch)
    ]
    paired = sorted(after[0].keys() & after[1].keys())
    difference = formatting.estimate([after[1][seed] - after[0][seed] for seed in paired])
    seeds = f"{len(paired)} seed{'' if len(paired) == 1 else 's'}"
    return [
        formatting.listed(pruned.dataset, pruned.protocol, seeds),
        *(formatting.shown(score, side.after.get(name)) for side in (pruned, scratch)),
        formatting.difference(score, difference),
    ]
