"""The table of a report: each row's figures, ours above the published ones, a column a metric."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from compressbench.core.metric import MetricSpec
from compressbench.core.specs import columns, sparse_one
from compressbench.reporting import formatting
from compressbench.reporting.comparison import Comparison
from compressbench.reporting.formatting import Estimate
from compressbench.reporting.page import Grid


@dataclass(frozen=True)
class Columns:
    """What the columns are about: metrics that decide, which have three columns, other scores, and the rest."""

    deciding: list[MetricSpec]
    scores: list[MetricSpec]
    others: list[MetricSpec]

    @property
    def headings(self) -> list[str]:
        found = ["row", "figures"]
        for spec in self.deciding:
            sides = [formatting.title(spec, f"{spec.heading} {side}") for side in ("before", "after")]
            found += [*sides, formatting.change_title(spec)]
        found += [formatting.title(spec, f"{spec.heading} after") for spec in self.scores]
        return [*found, *map(formatting.title, self.others), "smaller", "verdict"]

    @property
    def optional(self) -> tuple[str, ...]:
        """What a narrow console may leave out, the first ones first."""
        counted = [formatting.title(spec) for spec in reversed(self.others)]
        scored = [formatting.title(spec, f"{spec.heading} after") for spec in self.scores]
        before = [formatting.title(spec, f"{spec.heading} before") for spec in self.deciding]
        return ("smaller", *counted[:2], *scored, *before, *counted[2:])


def grid_of(comparisons: Sequence[Comparison], order: Sequence[str], noted: Callable[[Comparison], str]) -> Grid:
    """Return the table. order: metrics whose columns come first. noted: returns what stands behind a row's name."""
    about = _columns(comparisons, order)
    grid = Grid("", about.headings, left=2, optional=about.optional)
    for comparison in comparisons:
        grid.rows += _rows(about, comparison, comparison.row + noted(comparison))
    return grid


def _columns(comparisons: Sequence[Comparison], order: Sequence[str]) -> Columns:
    """Return what has a column: of counts that stand for others, or take their place, the others have it."""
    specs: dict[str, MetricSpec] = {}
    for comparison in comparisons:
        specs |= {name: spec for name, spec in comparison.specs.items() if name not in specs}
    first = {name: specs[name] for name in order if name in specs}
    found = [each for each in columns({**first, **specs}) if not each.published_as and not each.sparse_for]
    deciding = dict.fromkeys(comparison.primary for comparison in comparisons)
    return Columns(
        [spec for spec in found if spec.name in deciding],
        [spec for spec in found if spec.on_data and spec.name not in deciding],
        [spec for spec in found if not spec.on_data and spec.name not in deciding],
    )


def _rows(about: Columns, comparison: Comparison, name: str) -> list[list[str]]:
    """Return what we measured, what was published, the difference, and the level at equal handicap, a row each."""
    published = comparison.reference
    printed = ["published"]
    for spec in about.deciding:
        printed += [formatting.shown(spec, side.get(spec.name)) for side in (published.before, published.figures)]
        printed.append(formatting.difference(spec, comparison.published_change(spec.name)))
    printed += [formatting.shown(spec, published.figures.get(spec.name)) for spec in (*about.scores, *about.others)]
    printed.append(formatting.times(comparison.published_times_smaller))
    if not comparison.records:
        return [[name, *printed, comparison.judgement]]
    rows = [[name, *_ours(about, comparison), comparison.judgement]]
    if any(printed[1:]):
        rows += [["", *printed, ""], ["", *_difference(about, comparison), ""]]
    if at_equal_handicap := _at_equal_handicap(comparison):
        place = about.headings.index(formatting.title(comparison.score, f"{comparison.score.heading} after"))
        row = ["", "published at equal handicap", *[""] * (len(about.headings) - 2)]
        row[place] = at_equal_handicap
        rows.append(row)
    return rows


def _ours(about: Columns, comparison: Comparison) -> list[str]:
    before, after, change = comparison.before, comparison.after, comparison.change
    seeds = len(comparison.seeds)
    cells = [formatting.listed(comparison.dataset, comparison.protocol, f"{seeds} seed{'s' if seeds > 1 else ''}")]
    for spec in about.deciding:
        cells += [formatting.shown(spec, side.get(spec.name)) for side in (before, after)]
        cells.append(formatting.difference(spec, change.get(spec.name)))
    cells += [formatting.shown(spec, after.get(spec.name)) for spec in about.scores]
    for spec in about.others:
        sparse = sparse_one(comparison.specs, spec.name) if comparison.sparse(spec.name) else None
        words = [formatting.shown(spec, comparison.counted(spec.name)), sparse.heading if sparse else ""]
        cells.append(" ".join(filter(None, words)))
    return [*cells, formatting.times(comparison.times_smaller)]


def _difference(about: Columns, comparison: Comparison) -> list[str]:
    """Return ours minus published: levels only on the paper's own dataset, changes and counts always."""
    published, cells = comparison.reference, ["difference"]
    levels = (comparison.before, comparison.after) if comparison.same_dataset else ({}, {})
    for spec in about.deciding:
        printed = (published.before.get(spec.name), published.figures.get(spec.name))
        pairs = [(side.get(spec.name), print_) for side, print_ in zip(levels, printed, strict=True)]
        pairs.append((comparison.change.get(spec.name), comparison.published_change(spec.name)))
        cells += [_between(spec, own, print_) for own, print_ in pairs]
    cells += [_between(spec, levels[1].get(spec.name), published.figures.get(spec.name)) for spec in about.scores]
    counts = [(comparison.counted(spec.name), published.figures.get(spec.name)) for spec in about.others]
    return [*cells, *(formatting.relative(own, print_) for own, print_ in counts), ""]


def _at_equal_handicap(comparison: Comparison) -> str:
    """Return the published score minus the handicap, and in brackets ours minus that; empty without a handicap."""
    level, ours = comparison.published_at_equal_handicap, comparison.after.get(comparison.primary)
    if level is None or ours is None:
        return ""
    score = comparison.score
    return f"{formatting.shown(score, level)} ({formatting.difference(score, ours.mean - level)})"


def _between(spec: MetricSpec, ours: Estimate | None, published: float | None) -> str:
    return "" if ours is None or published is None else formatting.difference(spec, ours.mean - published)
