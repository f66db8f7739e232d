"""A student looks where its teacher looks (Zagoruyko and Komodakis 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import ClassVar

from torch import Tensor
from torch.nn import functional

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.objective import Objective, Seen
from compressbench.core.source import Source
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.techniques.distillation._distilled import distilled
from compressbench.techniques.distillation._features import Pair, both, check_features, check_maps, pairs_of, seeing


@dataclass(frozen=True)
class AttentionTransfer(Technique):
    """Train with the task's loss, plus beta times how far the attention maps of both networks are apart.

    Source: Zagoruyko and Komodakis 2017, "Paying More Attention to Attention", section 3.1, Eq. 2, with the mean of
    squares over a map and the beta of the authors' code. A map is the sum over channels of |A|^p, at every place,
    divided by its L2 norm; networks of any widths can be compared, and a teacher's map of another size is interpolated
    (bilinear) to the student's.

    training: how it is trained; null only below `distill`. teacher: the network it learns from. features,
    teacher_features: modules of both that return maps, such as the ends of stages; [] for the same names. weight: beta,
    more than 0. power: p, more than 0.

    We differ: Eq. 2 has the norm itself, halved; the authors' code its square, and so have we.
    """

    teacher: Source
    features: list[str]
    teacher_features: list[str]
    weight: float
    power: float
    training: TrainingConfig | None = None

    adds: ClassVar[frozenset[str]] = frozenset({"trained"})
    refuses: ClassVar[frozenset[str]] = frozenset({"int8"})

    def __post_init__(self) -> None:
        check_features(self)
        for key in ("weight", "power"):
            if not 0 < getattr(self, key) < inf:
                raise out_of_range(key, getattr(self, key), "more than 0")

    def apply(self, subject: Subject, context: Context) -> Subject:
        return distilled(self, subject, context)

    def objective(self, subject: Subject, context: Context) -> Objective:
        """Raises ValueError if there is no such teacher, or no such maps."""
        teacher = context.subject_of(self.teacher).model
        pairs = pairs_of(self, subject.model, teacher, context)
        check_maps(pairs)
        return seeing(pairs, teacher, partial(self.loss, pairs))

    def loss(self, pairs: Sequence[Pair], seen: Seen) -> Tensor:
        """Return the loss of a batch."""
        loss = seen.task_loss()
        for ours, theirs in both(seen, pairs):
            own, other = (attention(maps, self.power, ours.shape[2:]) for maps in (ours, theirs))
            loss = loss + self.weight * functional.mse_loss(own, other)
        return loss


def attention(maps: Tensor, power: float, size: Sequence[int]) -> Tensor:
    """Return the attention map of every example as a vector of length 1. maps: (n, C, H, W)."""
    found = maps.abs().pow(power).mean(1, keepdim=True)
    if found.shape[2:] != size:
        found = functional.interpolate(found, size=list(size), mode="bilinear", align_corners=False)
    return functional.normalize(found.flatten(1))
