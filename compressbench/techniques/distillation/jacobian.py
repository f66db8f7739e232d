"""A student learns the slope of its teacher's outputs over the inputs too (Srinivas and Fleuret 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from compressbench.core.context import Context
from compressbench.core.objective import Objective, Seen
from compressbench.core.source import Source
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.techniques.distillation._distilled import distilled
from compressbench.techniques.distillation._softened import check_weights


@dataclass(frozen=True)
class JacobianMatching(Technique):
    """Train with the loss L + a |z_T - z_S|^2 / classes + j |J_T / |J_T| - J_S / |J_S||^2, a mean over the batch.

    Source: Srinivas and Fleuret 2018, "Knowledge Transfer with Jacobian Matching", sections 3 and 5. L is the loss of
    `training`, z are the two networks' logits, and J their gradients over the input: of that output alone which is the
    teacher's largest. Matching slopes is matching outputs under noise, without drawing any.

    training: how it is trained; null only below `distill`. teacher: the network it learns from, `{recipe: R, stage:
    S}`, an earlier `{stage: S}` of this run, or `{file: F}`; it has as many outputs. activations: a. jacobians: j; it
    costs two more passes of either network a step.

    We differ: the slopes are those in evaluation mode, batch norm's running figures taken as constants, so that they
    are of one image alone; the paper prints no weights a and j.
    """

    teacher: Source
    activations: float
    jacobians: float
    training: TrainingConfig | None = None

    adds: ClassVar[frozenset[str]] = frozenset({"trained"})
    refuses: ClassVar[frozenset[str]] = frozenset({"int8"})

    def __post_init__(self) -> None:
        check_weights(activations=self.activations, jacobians=self.jacobians)

    def apply(self, subject: Subject, context: Context) -> Subject:
        """Raises ValueError as `objective` does, or if the teacher's outputs are others than the student's."""
        return distilled(self, subject, context)

    def objective(self, subject: Subject, context: Context) -> Objective:
        """Raises ValueError if there is no such teacher, or inputs have no slopes."""
        if not (isinstance(context.example, Tensor) and context.example.is_floating_point()):
            raise ValueError(f"the inputs of {context.task.name} are no single tensor of numbers to take slopes over")
        teacher = context.subject_of(self.teacher).model
        return Objective(partial(self.loss, subject.model, teacher), teacher=teacher)

    def loss(self, student: nn.Module, teacher: nn.Module, seen: Seen) -> Tensor:
        """Return the loss of a batch; the last dimension of the outputs counts the classes."""
        ours, theirs = seen.outputs, seen.teacher_outputs
        if ours.shape != theirs.shape or ours.dim() != 2:
            shapes = f"{list(theirs.shape[1:])}, the student {list(ours.shape[1:])}"
            raise ValueError(f"the teacher gives {shapes}; both have to give one number a class, of the same classes")
        total = seen.task_loss() + self.activations * functional.mse_loss(ours, theirs)
        if self.jacobians == 0:
            return total
        largest = theirs.argmax(1)
        slopes = [slope(model, seen.inputs, largest, model is student) for model in (student, teacher)]
        apart = (slopes[0] - slopes[1].detach()).square().sum(1).mean()
        return total + self.jacobians * apart


def slope(model: nn.Module, inputs: Tensor, output: Tensor, differentiable: bool) -> Tensor:
    """Return the gradient of one output of each example over its input, of length 1, (n, all of the input).

    differentiable: whether gradients flow through it.
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.enable_grad():
            varied = inputs.detach().requires_grad_()
            found = model(varied).gather(1, output[:, None]).sum()
            (gradient,) = torch.autograd.grad(found, varied, create_graph=differentiable)
            return functional.normalize(gradient.flatten(1), eps=1e-8)
    finally:
        for module, training in modes:
            module.training = training
