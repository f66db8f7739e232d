"""Training of a masked network from the weights that it had at an earlier stage (Frankle and Carbin 2019)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from compressbench.core.context import Context
from compressbench.core.source import Source
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.techniques.training._scratch_budget import check_budget, lengthened


@dataclass(frozen=True)
class Rewind(Technique):
    """Keep the masks, take the weights of an earlier stage, train again.

    Source: Frankle and Carbin 2019, "The Lottery Ticket Hypothesis". Masked networks only: where filters were removed,
    nobody recorded which weight came from where. New weights are drawn by `training/reinitialize`.

    training: how it is trained. to: the name of an earlier stage, `start` for the untrained network. budget: `epochs`
    trains for its epochs; `macs` for as many more as the pruned network is cheaper than the one at the start, at most
    twice as many.
    """

    training: TrainingConfig
    to: str
    budget: str

    needs = frozenset({"trained"})
    adds = frozenset({"retrained"})
    refuses = frozenset({"quantized"})

    def __post_init__(self) -> None:
        check_budget(self.budget)

    def apply(self, subject: Subject, context: Context) -> Subject:
        """Raises ValueError if there is no such stage, or its shapes differ."""
        config = lengthened(self.training, self.budget, subject, context)
        _take(subject.model, context.subject_of(Source(self.to)).model, self.to)
        subject.enforce()
        return context.train(subject, config)


def _take(model: nn.Module, earlier: nn.Module, stage: str) -> None:
    """Load the weights and statistics of `earlier`."""
    ours, theirs = model.state_dict(), earlier.state_dict()
    for name, tensor in ours.items():
        if name not in theirs or theirs[name].shape != tensor.shape:
            raise ValueError(
                f"to is {stage!r}, but {name} has another shape there: filters were removed or layers replaced since. "
                "Only masked networks can be rewound to a stage; training/reinitialize draws new weights for any"
            )
    model.load_state_dict({name: theirs[name] for name in ours})
