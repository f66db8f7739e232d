"""Objective: how a training is scored, where it is not by its task's loss alone. Hook: what acts within its steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor, nn

    from compressbench.core.context import Context
    from compressbench.core.subject import Subject
    from compressbench.core.training import TrainingConfig

Act = Callable[["nn.Module"], None]
"""Does something to a network, in place."""


@dataclass(frozen=True)
class Seen:
    """A batch, and what networks made of it.

    inputs, targets: as the split gives them, where the network lies. outputs: the trained network's, in float32.
    features: what its modules returned that the objective named, by name. teacher_outputs, teacher_features: the same
    of the teacher, without gradients; None and empty without one. task_loss: returns the loss that the training names,
    of the outputs, or of others that it is given, and the targets. done: the fraction of the training's steps that were
    taken before this one.
    """

    inputs: Any
    targets: Tensor
    outputs: Tensor
    task_loss: Callable[..., Tensor]
    features: Mapping[str, Any] = field(default_factory=dict)
    teacher_outputs: Any = None
    teacher_features: Mapping[str, Any] = field(default_factory=dict)
    done: float = 0.0


@dataclass(frozen=True)
class Objective:
    """What a training minimises in the place of its task's loss; validation is scored by the task all the same.

    loss: from a batch to one number, through which gradients flow. features: names of modules of the trained network
    whose results it sees (`layer3`); of one that runs twice in a pass, the last. teacher: a second network, given every
    batch that the first is given, in evaluation mode, without gradients and in the same precision; it is not changed.
    teacher_features: names of modules of the teacher. learned: what `loss` calls that is trained beside the network and
    thrown away after it (regressors, projections): moved to where the network lies, computing in its precision, its
    parameters with the training's optimizer at the plain learning rate, in its checkpoints. It is trained in place, so
    that a second training with the same objective goes on with it. Its shapes must be known: no lazy modules.
    """

    loss: Callable[[Seen], Tensor]
    features: tuple[str, ...] = ()
    teacher: nn.Module | None = None
    teacher_features: tuple[str, ...] = ()
    learned: nn.Module | None = None

    def __post_init__(self) -> None:
        if self.teacher_features and self.teacher is None:
            raise ValueError("teacher_features are named, but there is no teacher")


@dataclass(frozen=True)
class Hook:
    """What acts within every step of a training.

    after_backward: after the backward pass, before the optimizer's step: reads the gradients or adds to them.
    after_step: after the optimizer's step, before the constraints are enforced.
    """

    after_backward: Act | None = None
    after_step: Act | None = None


@runtime_checkable
class Distillation(Protocol):
    """A technique that trains by an objective which another stage's trainings may borrow (`distill:`).

    training: how it trains as a stage of its own; None where it is borrowed, for the other stage trains as it does.
    """

    @property
    def training(self) -> TrainingConfig | None: ...

    def objective(self, subject: Subject, context: Context) -> Objective:
        """Return what scores the training of this subject, as it is when the stage begins.

        It may train something itself before, with objectives of its own. ValueError, in words for people, if there is
        no such teacher, or the features that it names are not there or do not go together.
        """
        ...
