"""MadeUp: examples at random that fit a task. For `debug=smoke`, which asks whether a recipe runs, not how well."""

from __future__ import annotations

from dataclasses import dataclass

from compressbench.core.data import Splits
from compressbench.core.errors import out_of_range
from compressbench.core.identity import digest
from compressbench.core.task import Task

SEED = 2020


@dataclass(frozen=True)
class MadeUp:
    """task: what the examples are for. examples: of a split. Nothing can be learned from them."""

    task: Task
    examples: int

    def __post_init__(self) -> None:
        if self.examples < 1:
            raise out_of_range("examples", self.examples, "1 or more")

    @property
    def name(self) -> str:
        return "made_up"

    def missing(self) -> str | None:
        return None

    def sources(self) -> list[str]:
        return []

    def fingerprint(self) -> str:
        """Return the digest of the fields: nothing else decides the examples."""
        return digest(["made_up", SEED, self.task.name, self])

    def test_fingerprint(self) -> str:
        return self.fingerprint()

    def load(self) -> Splits:
        import torch

        from compressbench.data.tensors import TensorSplit

        generator = torch.Generator().manual_seed(SEED)
        train, validation, test = (TensorSplit(*self.task.random_batch(self.examples, generator)) for _ in range(3))
        return Splits(train, validation, test)
