"""Language modelling: the next token at every place of a text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, inf, log
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from compressbench.core.errors import out_of_range
from compressbench.core.metric import MetricSpec
from compressbench.core.task import Inputs, Loss, tensors
from compressbench.data.tasks._shapes import out_of_vocabulary, wrong_shape

UNASKED = -100
"""The target of a place whose next token is not asked for, as torch's cross-entropy has it."""
LARGEST_EXPONENT = 700.0
"""Of e, that is still a float64."""


def cross_entropy(logits: Tensor, tokens: Tensor) -> Tensor:
    """Return the mean over all places, in nats, of logits (n, places, vocabulary) and the next tokens (n, places)."""
    return functional.cross_entropy(logits.flatten(0, 1), tokens.flatten())


@dataclass(frozen=True)
class LanguageModelling:
    """Tokens int64 (n, context) to logits (n, context, vocabulary); targets int64 (n, context): the token after each
    place, `UNASKED` (-100) where none is asked for.

    Scored by `bits_per_character`, `perplexity` (e to the loss) and `loss` (nats a token). characters_per_token: how
    many characters a token stands for, on average over the test split; 1 where tokens are characters.
    """

    vocabulary: int
    context: int
    characters_per_token: float = 1.0

    name: ClassVar[str] = "language_modelling"
    specs: ClassVar[tuple[MetricSpec, ...]] = (
        MetricSpec(
            "bits_per_character", "bits", higher_is_better=False, heading="bits/char", format="number", limit=True
        ),
        MetricSpec("perplexity", "ratio", higher_is_better=False, heading="perplexity", format="number", limit=True),
        MetricSpec("loss", "nats", higher_is_better=False, heading="loss", format="number", limit=True),
    )
    primary: ClassVar[str] = "bits_per_character"
    losses: ClassVar[Mapping[str, Loss]] = {"cross_entropy": cross_entropy}

    def __post_init__(self) -> None:
        for key, least in (("vocabulary", 2), ("context", 1)):
            if getattr(self, key) < least:
                raise out_of_range(key, getattr(self, key), f"{least} or more")
        if not 0 < self.characters_per_token < inf:
            raise out_of_range("characters_per_token", self.characters_per_token, "more than 0")

    def example(self) -> Inputs:
        return torch.zeros(1, self.context, dtype=torch.int64)

    def random_batch(self, size: int, generator: torch.Generator) -> tuple[Inputs, Tensor]:
        """Return any text, the last token of which is only a target."""
        text = torch.randint(self.vocabulary, (size, self.context + 1), generator=generator)
        return text[:, :-1], text[:, 1:]

    def arguments(self) -> dict[str, Any]:
        return {"vocabulary": self.vocabulary, "context": self.context}

    def sums(self, outputs: Tensor, targets: Tensor, brief: bool = False) -> dict[str, Tensor]:
        """Return the number of tokens that are asked for, and the sum of their losses."""
        logits, tokens = outputs.float().flatten(0, 1), targets.flatten()
        loss = functional.cross_entropy(logits, tokens, reduction="sum").double()
        return {"tokens": (tokens != UNASKED).sum(), "loss": loss}

    def scores(self, sums: Mapping[str, float]) -> dict[str, float]:
        loss = sums["loss"] / sums["tokens"]
        bits = loss / log(2) / self.characters_per_token
        return {"bits_per_character": bits, "perplexity": exp(min(loss, LARGEST_EXPONENT)), "loss": loss}

    def misfit(self, inputs: Inputs, targets: Tensor) -> str | None:
        (text,) = tensors(inputs)
        asked = targets[targets != UNASKED]
        return out_of_vocabulary(text, self.vocabulary, "token") or out_of_vocabulary(asked, self.vocabulary, "token")

    def fault(self, outputs: Any, examples: int = 1) -> str | None:
        expected = (examples, self.context, self.vocabulary)
        return wrong_shape(outputs, expected, "a logit for every token of the vocabulary at every place")
