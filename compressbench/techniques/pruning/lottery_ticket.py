"""Winning tickets: small weights go after a training, the others start again from where they were early in it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import torch
from torch import Tensor, nn

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.objective import Hook
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.core.training import TrainingConfig
from compressbench.techniques._latent import latent, latent_name
from compressbench.techniques._layers import SINGLE, value_by_layer, weights_of
from compressbench.techniques.pruning._unstructured import SCOPES, check_scope, magnitude, prune_weights


@dataclass(frozen=True)
class LotteryTicket(Technique):
    """Train, prune the smallest weights, rewind the others; so many times, and train the ticket at the end.

    Source: Frankle and Carbin 2019, "The Lottery Ticket Hypothesis: Finding Sparse, Trainable Neural Networks", section
    1 and appendix B (iterative pruning with resetting); rewinding to a later step: Frankle et al. 2020, "Linear Mode
    Connectivity and the Lottery Ticket Hypothesis", section 4.

    training: of each round, and of the ticket. targets, ignore: what is pruned, and what is not; biases stay. rounds:
    prunings, 1 or more: the network is trained once more often. rate: fraction of the weights left that goes in each
    round, 0 or more and less than 1; rates: others for some layers (the paper: `last: 0.1`, half of the others' 0.2).
    scope: which weights compete, as in `pruning/magnitude`; the paper's deep networks have `global`. rewind_steps:
    steps of the first training to whose end weights go back; 0 is the untrained network. If there are fewer steps,
    nothing is rewound.

    We differ: rewound to a later step, tickets are trained for the whole length again. The paper's controls are other
    stages: `training/reinitialize` behind this one (random initialisation), `pruning/random_weights` before a training
    (random mask).
    """

    training: TrainingConfig
    targets: list[str]
    ignore: list[str]
    rounds: int
    rate: float
    rates: dict[str, float]
    scope: str
    rewind_steps: int

    adds: ClassVar[frozenset[str]] = frozenset({"trained", "sparse", "retrained"})
    refuses: ClassVar[frozenset[str]] = frozenset({"quantized"})

    def __post_init__(self) -> None:
        for key, value in {"rate": self.rate, **{f"rates.{name}": own for name, own in self.rates.items()}}.items():
            if not 0 <= value < 1:
                raise out_of_range(key, value, "0 or more and less than 1")
        if self.rounds < 1:
            raise out_of_range("rounds", self.rounds, "1 or more")
        if self.rewind_steps < 0:
            raise out_of_range("rewind_steps", self.rewind_steps, "0 or more")
        check_scope(self.scope)
        if self.scope != SCOPES[0] and self.rates:
            raise ValueError(f"rates is {self.rates!r}; with scope {self.scope} there is one rate")

    def apply(self, subject: Subject, context: Context) -> Subject:
        chosen = value_by_layer(subject.model, self.targets, self.ignore, self.rate, self.rates, "rates", SINGLE)
        kept = {name: 1 - Fraction(str(rate)) for name, rate in chosen.items()}
        early = {name: tensor.clone() for name, tensor in subject.model.state_dict().items()}
        for number in range(1, self.rounds + 1):
            if number == 1 and self.rewind_steps:
                subject, later = self._remembered(subject, context, next(iter(weights_of(subject.model, kept))))
                early |= later
            else:
                subject = context.train(subject, self.training)
            left = {name: own**number for name, own in kept.items()}
            subject = prune_weights(subject, magnitude, left, self.scope)
            subject.model.load_state_dict(early)
            subject.enforce()
        return context.train(subject, self.training)

    def _remembered(self, subject: Subject, context: Context, carrier: str) -> tuple[Subject, dict[str, Tensor]]:
        """Return the trained subject, and its parameters as they were after `rewind_steps` steps.

        carrier: the name of a parameter over which what is remembered is laid, so that checkpoints have it too.
        """
        names = [name for name, _ in subject.model.named_parameters(remove_duplicate=False)]  # tied ones under each
        memory = _Memory([subject.model.get_parameter(name).detach() for name in names])

        @torch.no_grad()
        def remember(model: nn.Module) -> None:
            memory.steps += 1
            if int(memory.steps) <= self.rewind_steps:
                now = (latent_name(name) if name == carrier else name for name in names)
                for number, name in enumerate(now):
                    memory.get_buffer(str(number)).copy_(model.get_parameter(name))

        with latent(subject, {carrier: memory}):
            subject = context.train(subject, self.training, hooks=[Hook(after_step=remember)])
        return subject, {name: memory.get_buffer(str(number)) for number, name in enumerate(names)}


class _Memory(nn.Module):
    """Remembers parameters beside one of them, which it leaves as it is. steps: of the training so far."""

    steps: Tensor

    def __init__(self, parameters: list[Tensor]):
        super().__init__()
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        for number, parameter in enumerate(parameters):
            self.register_buffer(str(number), parameter.clone())

    def forward(self, weight: Tensor) -> Tensor:
        return weight
