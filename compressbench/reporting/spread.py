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

from compressbench.core.record import RunRecord
from compressbench.reporting.comparison import ACCURACIES, Comparison
from compressbench.reporting.formatting import percent
from compressbench.reporting.schedule import DECLARED

LEAST = 2
"""Of fewer networks drawn again no spread is given."""


@dataclass(frozen=True)
class Redrawn:
    """A network that was trained more than once with the same settings and seed, and the top1 of each time."""

    network: str
    dataset: str
    seed: int
    top1: tuple[float, ...]


def redrawn(records: Iterable[RunRecord]) -> list[Redrawn]:
    """Return the networks whose first stage, a training, ended in different results though network, dataset, settings,
    limits and seed are equal. A setting that only newer records have counts if it is not its declared default."""
    draws: dict[str, dict[tuple[float, ...], None]] = {}
    example: dict[str, RunRecord] = {}
    for record in records:
        trained = record.stages[0] if record.stages else None
        if trained is None or record.before is not trained or "top1" not in trained.metrics:
            continue
        key = _key(record)
        result = tuple(trained.metrics[name] for name in (*ACCURACIES, "loss") if name in trained.metrics)
        draws.setdefault(key, {})[result] = None
        example[key] = record
    found = [
        Redrawn(_network(example[key]), example[key].dataset["name"], example[key].seed, _top1(results))
        for key, results in draws.items()
        if len(results) > 1
    ]
    return sorted(found, key=lambda each: (each.dataset, each.network, each.seed, each.top1))


def pooled(groups: Iterable[Redrawn]) -> float:
    """Return the pooled standard deviation of top1: the root of the mean of the variances (n - 1) within groups."""
    return sqrt(mean(variance(group.top1) for group in groups))


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
        each = "; ".join(f"{g.network}, seed {g.seed}: {', '.join(map(percent, g.top1))}" for g in groups)
        number = f"{len(groups)} network{'' if len(groups) == 1 else 's'}, {sum(len(g.top1) for g in groups)} draws"
        figure = f"a standard deviation of {pooled(groups) * 100:.2f} points, pooled"
        sentences.append(
            f"Run-to-run spread on {dataset}: the same network, trained again elsewhere by the same settings and seed, "
            f"ends at another top1 before compression: {figure if len(groups) >= LEAST else 'too few for a figure'} "
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


def _top1(results: Iterable[tuple[float, ...]]) -> tuple[float, ...]:
    return tuple(sorted(result[0] for result in results))
