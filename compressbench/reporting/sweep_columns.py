"""Which figures the points of a sweep are shown with, and how."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from compressbench.core.metric import MetricSpec
from compressbench.core.record import RunRecord
from compressbench.core.specs import columns, costs, costs_of_tables, primary_of, specs_of
from compressbench.reporting import formatting

Shown = Callable[[formatting.Estimate | None], str]


def columns_of(records: Sequence[RunRecord]) -> dict[str, tuple[str, Shown]]:
    """Return, by heading, the column of a frame of points and how it is shown: the primary metric, its change, what it
    costs, and all else that has a column."""
    specs = specs_of(records)
    found: dict[str, tuple[str, Shown]] = {}
    primary = specs.get(primary_of(records))
    if primary is not None:
        found[formatting.title(primary)] = (primary.name, partial(formatting.shown, primary))
        found[formatting.change_title(primary)] = (f"{primary.name}_change", partial(formatting.difference, primary))
    least = [*costs(specs), *costs_of_tables(specs)]
    for spec in [*least, *(each for each in columns(specs) if each not in least and each is not primary)]:
        found[title(spec)] = (spec.name, partial(formatting.shown, spec))
    return found


def title(spec: MetricSpec) -> str:
    """Return a heading that says the row of a small table, too: `onnx, 64: ms a batch`."""
    return f"{spec.rows[0]}: {formatting.title(spec)}" if spec.table else formatting.title(spec)


def optional(records: Sequence[RunRecord], headings: Sequence[str]) -> tuple[str, ...]:
    """Return what a narrow console may leave out, the first ones first: not the primary metric and its first cost."""
    specs = specs_of(records)
    kept = [*(title(spec) for spec in costs(specs)[:1])]
    primary = specs.get(primary_of(records))
    change = [formatting.change_title(primary)] if primary else []
    kept += [formatting.title(primary)] if primary else []
    return (*(each for each in reversed(headings) if each not in (*kept, *change)), "protocol", "dataset", *change)
