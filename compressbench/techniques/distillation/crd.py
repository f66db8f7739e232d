"""A student's features of an image find its teacher's among those of others (Tian et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.objective import Objective, Seen
from compressbench.core.source import Source
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.techniques.distillation._distilled import distilled
from compressbench.techniques.distillation._features import drawn
from compressbench.techniques.distillation._penultimate import penultimate
from compressbench.techniques.distillation._softened import check_temperature, check_weights, divergence


class Embedding(nn.Module):
    """A linear projection to a length of 1."""

    def __init__(self, inputs: int, outputs: int, generator: torch.Generator):
        super().__init__()
        self.linear = drawn(lambda: nn.Linear(inputs, outputs), generator)

    def forward(self, features: Tensor) -> Tensor:
        """Return (n, outputs) from features of any shape (n, ...)."""
        return functional.normalize(self.linear(features.flatten(1)), dim=1)


@dataclass(frozen=True)
class ContrastiveRepresentationDistillation(Technique):
    """Train with the loss L + c (C_S + C_T) + k T^2 KL(p || q): features of one image belong together, of two do not.

    Source: Tian et al. 2020, "Contrastive Representation Distillation", section 3.1, equations 17 and 18. Projections
    of the two networks' features, of length 1, have the score h = e^(s / tau) / (e^(s / tau) + N), s their product;
    C = -(log h of an image's own pair + the sum of log(1 - h) over its N negatives), once with the student's and once
    with the teacher's projection held against all others. The projections are trained along and thrown away.

    training: how it is trained; null only below `distill`. teacher: the network it learns from, `{recipe: R, stage:
    S}`, an earlier `{stage: S}` of this run, or `{file: F}`. contrast: c; the paper's 0.8. softened: k, of the softened
    outputs beside it; 0 in the paper's plain CRD, 1 in its CRD + KD. temperature: T of these. tau: temperature of the
    scores. size: dimensions of the projections. layer, teacher_layer: modules whose outputs are the features; null is
    what the last linear layer reads.

    We differ: negatives are the other images of the batch, of other classes, not 16,384 of a memory of the whole
    training split of M, which needs to know which example is which. With it the paper divides e^(s / tau) by its mean
    times M and writes N / M in the score; here N is the number of negatives, as equation 9 has it.
    """

    teacher: Source
    contrast: float
    softened: float
    temperature: float
    tau: float
    size: int
    layer: str | None
    teacher_layer: str | None
    training: TrainingConfig | None = None

    adds: ClassVar[frozenset[str]] = frozenset({"trained"})
    refuses: ClassVar[frozenset[str]] = frozenset({"int8"})

    def __post_init__(self) -> None:
        check_weights(contrast=self.contrast, softened=self.softened)
        check_temperature(self.temperature)
        if not 0 < self.tau <= 1:
            raise out_of_range("tau", self.tau, "more than 0 and at most 1")
        if self.size < 1:
            raise out_of_range("size", self.size, "1 or more")

    def apply(self, subject: Subject, context: Context) -> Subject:
        """Raises ValueError as `objective` does."""
        return distilled(self, subject, context)

    def objective(self, subject: Subject, context: Context) -> Objective:
        """Raises ValueError if there is no such teacher, or a network has no such layer."""
        teacher = context.subject_of(self.teacher).model
        ours, our_size = penultimate(subject.model, context.example, self.layer, "layer")
        theirs, their_size = penultimate(teacher, context.example, self.teacher_layer, "teacher_layer")
        sizes = (our_size, their_size)
        embeddings = nn.ModuleList([Embedding(inputs, self.size, context.generator) for inputs in sizes])
        loss = partial(self.loss, embeddings, ours, theirs)
        return Objective(loss, (ours,), teacher, (theirs,), embeddings)

    def loss(self, embeddings: nn.ModuleList, ours: str, theirs: str, seen: Seen) -> Tensor:
        """Return the loss of a batch; embeddings: of the student's and of the teacher's features."""
        if seen.targets.dim() != 1 or seen.targets.is_floating_point():
            raise ValueError("negatives are images of other classes, so that targets have to be labels")
        student = embeddings[0](seen.features[ours]).float()
        teacher = embeddings[1](seen.teacher_features[theirs]).float()
        negative = seen.targets[:, None] != seen.targets[None, :]
        total = seen.task_loss() + self.contrast * contrast(student @ teacher.T / self.tau, negative)
        if self.softened == 0:
            return total
        apart = divergence(seen.outputs, seen.teacher_outputs, self.temperature)
        return total + self.softened * self.temperature**2 * apart


def contrast(scores: Tensor, negative: Tensor) -> Tensor:
    """Return C_S + C_T, the mean over the batch: log h and log(1 - h) are log-sigmoids of s / tau - log N and minus it.

    scores: s / tau of every student's projection (rows) with every teacher's (columns), (n, n). negative: which pairs
    are of two classes; each image has as many in its row as in its column.
    """
    odds = scores - negative.sum(1, keepdim=True).clamp_min(1).log()
    turned = scores - negative.sum(0, keepdim=True).clamp_min(1).log()
    own = functional.logsigmoid(odds.diagonal()) + functional.logsigmoid(turned.diagonal())
    others = [(functional.logsigmoid(-each) * negative).sum(dim) for each, dim in ((odds, 1), (turned, 0))]
    return -(own + others[0] + others[1]).mean()
