"""The loss of a batch: the task's own, or an objective's, which also sees features and a teacher."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from compressbench.core.errors import suggestion
from compressbench.core.objective import Objective, Seen
from compressbench.core.task import Inputs, Loss, feed
from compressbench.training.autotuning import PLAIN, Setting

Score = Callable[[Inputs, Tensor, Tensor], Tensor]
"""From inputs, outputs and targets of a batch to its loss."""


@contextmanager
def scoring(
    objective: Objective | None, loss: Loss, model: nn.Module, setting: Setting, device: torch.device
) -> Iterator[Score]:
    """Yield what scores a batch. While it lasts, the teacher lies on the device, in evaluation mode.

    loss: the task's. ValueError if the objective names a module that its network does not have.
    """
    if objective is None:
        yield lambda inputs, outputs, targets: loss(outputs.float(), targets)
        return
    with ExitStack() as stack:
        features = stack.enter_context(watched(model, objective.features, "features"))
        teacher, teacher_features = objective.teacher, dict[str, Any]()
        if teacher is not None:
            teacher_features = stack.enter_context(watched(teacher, objective.teacher_features, "teacher_features"))
            stack.enter_context(_placed(teacher, setting, device))

        def score(inputs: Inputs, outputs: Tensor, targets: Tensor) -> Tensor:
            outputs, taught = outputs.float(), None
            if teacher is not None:
                with torch.no_grad(), setting.autocast(device):
                    taught = feed(teacher, inputs).float()
            seen = Seen(inputs, targets, outputs, lambda: loss(outputs, targets), features, taught, teacher_features)
            return objective.loss(seen)

        yield score


@contextmanager
def watched(model: nn.Module, names: Sequence[str], key: str) -> Iterator[dict[str, Any]]:
    """Yield what the named modules returned last, by name, while it lasts. ValueError for one that is not there."""
    modules, found = dict(model.named_modules()), dict[str, Any]()
    for name in names:
        if name not in modules:
            raise ValueError(
                f"{key} has {name!r}, which {type(model).__name__} does not have; {suggestion(name, list(modules))}"
            )

    def keep(name: str) -> Callable[[nn.Module, Any, Any], None]:
        return lambda module, inputs, output: found.__setitem__(name, output)

    handles = [modules[name].register_forward_hook(keep(name)) for name in names]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _placed(teacher: nn.Module, setting: Setting, device: torch.device) -> Iterator[None]:
    """Lay a teacher out as the trained network is; afterwards put everything back."""
    home = next((parameter.device for parameter in teacher.parameters()), device)
    modes = [(module, module.training) for module in teacher.modules()]
    teacher.eval().to(device)
    setting.arrange(teacher)
    try:
        yield
    finally:
        PLAIN.arrange(teacher)
        teacher.to(home)
        for module, training in modes:
            module.training = training
