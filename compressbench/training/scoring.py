"""The loss of a batch: the task's own, or an objective's, which also sees features and a teacher."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from compressbench.core.errors import suggestion
from compressbench.core.objective import Objective, Seen
from compressbench.core.task import Inputs, Loss, feed
from compressbench.training.autotuning import PLAIN, Setting

Score = Callable[[Inputs, Tensor, Tensor, float], Tensor]
"""From inputs, outputs and targets of a batch, and the fraction of the training that is done, to its loss."""


@contextmanager
def scoring(
    objective: Objective | None, loss: Loss, model: nn.Module, setting: Setting, device: torch.device
) -> Iterator[Score]:
    """Yield what scores a batch. While it lasts, the teacher lies on the device, in evaluation mode; so does what is
    learned beside the network, in training mode.

    loss: the task's. ValueError if the objective names a module that its network does not have.
    """
    if objective is None:
        yield lambda inputs, outputs, targets, done: loss(outputs.float(), targets)
        return
    with ExitStack() as stack:
        features = stack.enter_context(watched(model, objective.features, "features"))
        teacher, teacher_features = objective.teacher, dict[str, Any]()
        if teacher is not None:
            teacher_features = stack.enter_context(watched(teacher, objective.teacher_features, "teacher_features"))
            stack.enter_context(_placed(teacher, setting, device, training=False))
        if objective.learned is not None:
            stack.enter_context(_placed(objective.learned, setting, device, training=True))
            stack.enter_context(_in_precision(objective.learned, setting, device))

        def score(inputs: Inputs, outputs: Tensor, targets: Tensor, done: float) -> Tensor:
            outputs, taught = outputs.float(), None
            if teacher is not None:
                with torch.no_grad(), setting.autocast(device):
                    taught = feed(teacher, inputs).float()
            seen = (lambda given=outputs: loss(given, targets)), features, taught, teacher_features, done
            return objective.loss(Seen(inputs, targets, outputs, *seen))

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
def _placed(other: nn.Module, setting: Setting, device: torch.device, training: bool) -> Iterator[None]:
    """Lay a teacher, or what is learned beside the network, out as the trained network is; afterwards put everything
    back, but for what was learned."""
    home = next((parameter.device for parameter in other.parameters()), device)
    modes = [(module, module.training) for module in other.modules()]
    other.train(training).to(device)
    setting.arrange(other)
    try:
        yield
    finally:
        PLAIN.arrange(other)
        other.to(home)
        other.zero_grad()
        for module, mode in modes:
            module.training = mode


@contextmanager
def _in_precision(learned: nn.Module, setting: Setting, device: torch.device) -> Iterator[None]:
    """Have its modules compute in the training's precision, whichever of them a loss calls."""
    entered: list[AbstractContextManager[object]] = []

    def enter(module: nn.Module, inputs: Any) -> None:
        entered.append(setting.autocast(device))
        entered[-1].__enter__()

    def leave(module: nn.Module, inputs: Any, output: Any) -> None:
        entered.pop().__exit__(None, None, None)

    handles = [each.register_forward_pre_hook(enter) for each in learned.modules()]
    handles += [each.register_forward_hook(leave, always_call=True) for each in learned.modules()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
