"""Whether network and data fit the task: tried out before anything is trained."""

from __future__ import annotations

import torch

from compressbench.core.data import Split, Splits
from compressbench.core.errors import PlanError, lack_of_memory
from compressbench.core.plan import Plan
from compressbench.core.task import feed, moved, random_like, shapes, tensors, unlike
from compressbench.core.training import trainings_in

LOOKED_AT = 16
"""Examples of a split that are looked at before anything is computed."""
EXAMPLES = 2
"""More than one, for batch norm has nothing to normalise by in a single one."""


def check_fit(plan: Plan) -> None:
    """Raise PlanError if the plan's network cannot take what its data gives, or gives what its task cannot score.

    It is tried untrained, as it is measured and as it is trained: some networks give something else while they train.
    """
    network, task = plan.model.architecture.lay_out(), plan.dataset.task
    inputs = random_like(task.example(), EXAMPLES, torch.Generator().manual_seed(0))
    inputs = moved(inputs, next(network.parameters(), tensors(inputs)[0]).device)
    for training in (False, True):
        network.train(training)
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            try:
                outputs = feed(network, inputs)
            except Exception as error:  # whatever a network raises
                if lack_of_memory(error):
                    raise
                why = (str(error).splitlines() or [type(error).__name__])[0]
                what = f"{type(network).__name__} cannot take inputs of {shapes(inputs)}: {why}"
                raise PlanError.of("model", what) from error
        if fault := task.fault(outputs, EXAMPLES):
            when = " while it trains" if training else ""
            raise PlanError.of("model", f"{type(network).__name__} {fault}{when}")


def check_examples(plan: Plan, splits: Splits) -> None:
    """Raise PlanError unless the splits that a plan needs give examples, the first of which fit the task."""
    trains = any(plan.limits.cut(training.epochs) for stage in plan.stages for training in trainings_in(stage))
    for name in ("train", "test") if trains else ("test",):
        few: Split = getattr(splits, name).limit(LOOKED_AT)
        batch = next(iter(few.batches(LOOKED_AT)), None)
        if batch is None:
            raise PlanError.of("dataset", f"{plan.dataset.name} gives no {name} examples")
        if what := unlike(plan.dataset.task, *batch):
            raise PlanError.of("dataset", f"{plan.dataset.name}, {name} examples: {what}")
