"""Whether a network fits its task: tried out before anything is trained."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from compressbench.core.errors import PlanError, lack_of_memory
from compressbench.core.plan import Plan

EXAMPLES = 2
"""More than one, for batch norm has nothing to normalise by in a single one."""


def check_fit(plan: Plan) -> None:
    """Raise PlanError if the plan's network cannot take what its data gives, or gives what its task cannot score.

    It is tried untrained, as it is measured and as it is trained: some networks give something else while they train.
    """
    network, inputs = plan.model.architecture.lay_out(), torch.zeros(EXAMPLES, *plan.dataset.input_shape)
    first = next(network.parameters(), inputs)
    for training in (False, True):
        network.train(training)
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            try:
                outputs = network(inputs.to(first.device))
            except Exception as error:  # whatever a network raises
                if lack_of_memory(error):
                    raise
                shape = " x ".join(map(str, inputs.shape[1:]))
                why = (str(error).splitlines() or [type(error).__name__])[0]
                raise PlanError.of("model", f"{type(network).__name__} cannot take images of {shape}: {why}") from error
        if fault := _fault(outputs, plan.dataset.classes):
            when = " while it trains" if training else ""
            raise PlanError.of("model", f"{type(network).__name__} {fault}{when}")


def _fault(outputs: Any, classes: int) -> str | None:
    if not isinstance(outputs, Tensor):
        return f"gives a {type(outputs).__name__}, not a tensor of (n, {classes}); return the logits alone"
    if outputs.shape != (EXAMPLES, classes):
        return f"gives {tuple(outputs.shape)} for {EXAMPLES} images; {(EXAMPLES, classes)} is needed"
    return None
