"""Spread: how far the same training, started again with the same seed, ends from itself.

Another machine, or another order in which sums are taken, is enough. Records hold such pairs by chance: a first stage
that two machines trained by the same settings. What a cache handed on is one draw, in however many rows it stands.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from math import sqrt
from statistics import mean, variance

from compressbench.core.metric import MetricSpec
from compressbench.core.record import RunRecord
from compressbench.core.specs import scores
from compressbench.reporting import formatting
from compressbench.reporting.comparison import Comparison
from compressbench.reporting.schedule import DECLARED

LEAST = 2
"""Of fewer networks drawn again no spread is given."""


@dataclass(frozen=True)
class Redrawn:
    """A network that was trained more than once with the same settings and seed. found: the primary metric, each."""

    network: str
    dataset: str
    seed: int
    found: tuple[float, ...]
    spec: MetricSpec


def redrawn(records: Iterable[RunRecord]) -> list[Redrawn]:
    """Return the networks whose first stage, a training, ended in different results though network, dataset, settings,
    limits and seed are equal. A setting that only newer records have counts if it is not its declared default."""
    draws: dict[str, dict[tuple[float, ...], None]] = {}
    example: dict[str, RunRecord] = {}
    for record in records:
        trained = record.stages[0] if record.stages else None
        if trained is None or record.before is not trained or record.primary not in trained.metrics:
            continue
        key = _key(record)
        every = [spec.name for spec in scores(record.metric_specs) if spec.name != record.primary]
        result = tuple(trained.metrics[name] for name in (record.primary, *every) if name in trained.metrics)
        draws.setdefault(key, {})[result] = None
        example[key] = record
    found = [
        Redrawn(*_about(example[key]), _first(results), example[key].metric_specs[example[key].primary])
        for key, results in draws.items()
        if len(results) > 1
    ]
    return sorted(found, key=lambda each: (each.dataset, each.network, each.seed, each.found))


def pooled(groups: Iterable[Redrawn]) -> float:
    """Return the pooled standard deviation: the root of the mean of the variances (n - 1) within groups."""
    return sqrt(mean(variance(group.found) for group in groups))


def spread_remarks(comparisons: Iterable[Comparison], found: Iterable[Redrawn]) -> list[str]:
    """Return a sentence for every dataset on which a network of the table was drawn again, of all networks that were.

    found: as `redrawn` returns it.
    """
    here = {(_network(record), record.dataset["name"]) for c in comparisons for record in c.records}
    sentences = []
    for dataset, of_dataset in groupby(found, key=lambda each: each.dataset):
        groups = list(of_dataset)
        if not any((group.network, dataset) in here for group in groups):
            continue
        spec = groups[0].spec
        each = "; ".join(f"{g.network}, seed {g.seed}: {', '.join(_shown(spec, g.found))}" for g in groups)
        number = f"{len(groups)} network{'' if len(groups) == 1 else 's'}, {sum(len(g.found) for g in groups)} draws"
        deviation = formatting.in_units(spec, formatting.difference(spec, pooled(groups)).lstrip("+"))
        figure = f"a standard deviation of {deviation}, pooled" if len(groups) >= LEAST else "too few for a figure"
        sentences.append(
            f"Run-to-run spread on {dataset}: the same network, trained again elsewhere by the same settings and seed, "
            f"ends at another {spec.heading} before compression: {figure} "
            f"({number}; {each}; from the committed records of all tables). Three seeds may understate it."
        )
    return sentences


def _key(record: RunRecord) -> str:
    plan = record.plan
    stage = plan.get("stages", {}).get(record.stages[0].name, {})
    settings = {name: value for name, value in stage.items() if name not in DECLARED or value != DECLARED[name]}
    data = [plan.get("dataset"), record.dataset["name"], record.dataset.get("fingerprint")]
    return json.dumps([plan.get("model"), data, settings, plan.get("limits"), record.seed], sort_keys=True)


def _network(record: RunRecord) -> str:
    return str(record.plan.get("model", {}).get("name", ""))


def _about(record: RunRecord) -> tuple[str, str, int]:
    return _network(record), record.dataset["name"], record.seed


def _shown(spec: MetricSpec, found: Iterable[float]) -> list[str]:
    return [formatting.shown(spec, value) for value in found]


def _first(results: Iterable[tuple[float, ...]]) -> tuple[float, ...]:
    return tuple(sorted(result[0] for result in results))
