"""Figures of a result that are known before it is computed, and the limits of a budget that they break."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from compressbench.core.errors import Fault
from compressbench.core.format import Coding
from compressbench.core.metric import EvaluationInput, Metric, plain
from compressbench.core.plan import Plan, PlannedStage
from compressbench.core.subject import Subject
from compressbench.core.task import Inputs
from compressbench.core.temporary import prefix
from compressbench.packing import packed_file
from compressbench.running.budget import breaks
from compressbench.running.evaluate import measured, reads_file

Count = Callable[[Subject, Inputs], dict[str, float]]
"""What is measured of a subject after each stage without data, given an example of its input."""


def of_the_network(plan: Plan) -> Count:
    """Return what measures all of a plan's metrics that look at the network alone."""
    metrics = [(name, metric) for name, metric in plan.metrics if _predictable(metric) and not reads_file(metric)]

    def count(subject: Subject, example: Inputs) -> dict[str, float]:
        given = EvaluationInput(subject, plan.task, example, _not_there, Path(), _not_there)
        return {each.name: each.value for name, metric in metrics for each in measured(name, metric, given)}

    return count


def of_network_and_file(plan: Plan) -> Count:
    """Return what also measures those that look at the packed file, which is without its note here. They are left out
    where coders go by the weights."""
    metrics = [(name, metric) for name, metric in plan.metrics if _predictable(metric) and reads_file(metric)]
    network = of_the_network(plan)

    def count(subject: Subject, example: Inputs) -> dict[str, float]:
        found = network(subject, example)
        if not metrics or subject.coding != Coding():
            return found
        with tempfile.TemporaryDirectory(prefix=prefix("compressbench")) as folder:
            file = Path(folder) / "model.cbp"
            file.write_bytes(packed_file.sealed(subject))
            given = EvaluationInput(subject, plan.task, example, _not_there, file, _not_there)
            return found | {each.name: each.value for name, metric in metrics for each in measured(name, metric, given)}

    return count


def broken_limits(plan: Plan, stages: list[PlannedStage], again: Callable[[], list[PlannedStage]]) -> list[Fault]:
    """Return a fault for every limit that a predicted figure breaks. again: returns the stages on other weights, for
    only a figure that comes out the same is what the run will measure."""
    specs, final = plan.metric_specs, stages[-1].counts if stages else {}
    broken = {n: limit for n, limit in plan.budget.limits.items() if n in final and breaks(specs[n], final[n], limit)}
    other = again()[-1].counts if broken else {}
    from_file = {spec.name for _, metric in plan.metrics if reads_file(metric) for spec in metric.specs(plan.task)}
    return [
        Fault(
            f"budget.{name}",
            f"the {'file' if name in from_file else 'result'} will have {plain(final[name])}"
            f"{' and its note' if name in from_file else ''}; the limit is {limit:,.12g}",
        )
        for name, limit in broken.items()
        if other.get(name) == final[name]
    ]


def _predictable(metric: Metric) -> bool:
    return bool(getattr(metric, "predictable", False))


def _not_there() -> NoReturn:
    raise ValueError("it is declared `predictable`, but looks at more than the network")
