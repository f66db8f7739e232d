"""The protocol's label: which schedule of conf/training a plan keeps to, if it keeps to one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields

from compressbench.core.budget import Reference
from compressbench.core.plan import Stage
from compressbench.core.training import TrainingConfig
from compressbench.planning.settings import Schedules

CUSTOM, SMOKE, NONE = "custom", "smoke", ""

OF_THE_NETWORK = ("lr",)
"""What a row sets for its network without leaving the protocol: plain networks do not train at every rate."""


def protocol(stages: Sequence[Stage], schedules: Schedules, reference: Reference, by_hand: bool) -> str:
    """Return the label of a plan's training.

    It is the chosen schedule's name only if every stage below `tuning/` that trains at all does so as that schedule's
    `train`, `finetune` or `finetune_slimming` says, in every field but the learning rate, and a network that starts
    from new weights does so from those of its `init`; else it is `custom`, as is any training changed or cut short on
    the command line (by_hand). A recipe that is no paper's row (no `reference.source`), or one that trains
    nothing of the kind, keeps to no protocol: the label is empty.

    What a method trains inside its own stage (a step of INQ, the centroids of Deep Compression) belongs to the method.
    """
    if by_hand:
        return CUSTOM
    trained = list(_trainings(stages))
    if not reference.source or not trained:
        return NONE
    kept = all(any(_same(training, allowed) for allowed in schedules.trainings) for training, _ in trained)
    kept = kept and all(init in (None, schedules.init) for _, init in trained)
    return schedules.protocol if kept else CUSTOM


def _trainings(stages: Sequence[Stage]) -> Iterable[tuple[TrainingConfig, str | None]]:
    """Yield the trainings of stages that do nothing but train, each with what new weights it draws, if it does."""
    for stage in stages:
        training = getattr(stage.technique, "training", None)
        if stage.kind.startswith("training/") and isinstance(training, TrainingConfig) and training.epochs:
            yield training, getattr(stage.technique, "init", None)


def _same(one: TrainingConfig, other: TrainingConfig) -> bool:
    names = [field.name for field in fields(TrainingConfig) if field.name not in OF_THE_NETWORK]
    return all(getattr(one, name) == getattr(other, name) for name in names)
