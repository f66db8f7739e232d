"""Which figures are what, by what metrics say of them: scores, costs, columns. Tracking and reporting ask here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from compressbench.core.metric import MetricSpec
from compressbench.core.record import RunRecord

Specs = Mapping[str, MetricSpec]


def specs_of(records: Iterable[RunRecord]) -> dict[str, MetricSpec]:
    """Return what the records say of their figures, by name; where they do not agree, as the newest says it."""
    found: dict[str, MetricSpec] = {}
    for record in sorted(records, key=lambda record: record.started, reverse=True):
        found = {**found, **{name: spec for name, spec in record.metric_specs.items() if name not in found}}
    return found


def primary_of(records: Iterable[RunRecord]) -> str:
    """Return the metric by which networks of the newest record's task are compared; empty without records."""
    newest = max(records, key=lambda record: record.started, default=None)
    return newest.primary if newest else ""


def scores(specs: Specs) -> list[MetricSpec]:
    """Return what says how well a network does its task, on the test split."""
    return [spec for spec in specs.values() if spec.on_data and not spec.table]


def columns(specs: Specs) -> list[MetricSpec]:
    """Return what has a column where a run's figures are listed."""
    return [spec for spec in specs.values() if spec.heading and not spec.table]


def headlines(specs: Specs) -> list[str]:
    """Return the names of what a run's final figures are told by: scores, and what a table shows."""
    return [name for name, spec in specs.items() if spec.on_data or spec.heading]


def costs(specs: Specs) -> list[MetricSpec]:
    """Return what compression makes less of: first bytes, then what was declared last. Of a count of everything and one
    of what is not zero the first."""
    found = [spec for spec in specs.values() if _is_cost(spec) and not spec.table and not spec.sparse_for]
    found.reverse()
    return sorted(found, key=lambda spec: spec.unit != "bytes")


def costs_of_tables(specs: Specs) -> list[MetricSpec]:
    """Return what else there should be less of: milliseconds a batch, which stand in a table of their own."""
    return [spec for spec in specs.values() if _is_cost(spec) and spec.table]


def _is_cost(spec: MetricSpec) -> bool:
    return spec.limit and bool(spec.heading) and not spec.higher_is_better and not spec.on_data


def sparse_one(specs: Specs, name: str) -> MetricSpec | None:
    """Return the count that takes the place of another one where a network is sparse."""
    return next((spec for spec in specs.values() if spec.sparse_for == name), None)
