"""Whether a network fits its task: tried out before anything is trained."""

from __future__ import annotations

import torch

from compressbench.core.errors import PlanError, lack_of_memory
from compressbench.core.plan import Plan
from compressbench.core.task import feed, moved, random_like, shapes, tensors

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
