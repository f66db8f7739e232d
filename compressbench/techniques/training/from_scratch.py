"""Training of a freshly initialised network."""

from __future__ import annotations

from dataclasses import dataclass

from compressbench.core.context import Context
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.techniques.training._initialization import AS_BUILT, check_init, initialize


@dataclass(frozen=True)
class FromScratch(Technique):
    """Train the network from its beginning. A trained one is for `finetune`, `rewind` or `reinitialize`.

    init: the weights it starts from: `torch`, those it was built with, or `he_fan_out`: convolutions He-normal by
        their filters, linear layers N(0, 0.01^2), scales of batch normalisation 0.5, biases 0, as in the code of
        Liu et al. 2019.
    """

    training: TrainingConfig
    init: str = AS_BUILT

    adds = frozenset({"trained"})
    refuses = frozenset({"trained"})

    def __post_init__(self) -> None:
        check_init(self.init)

    def apply(self, subject: Subject, context: Context) -> Subject:
        initialize(subject.model, self.init, context.generator)
        subject.enforce()
        return context.train(subject, self.training)
