"""PythonTopics: the help texts of Python itself, character by character (`pydoc_data.topics`). No download.

It is what `help("assert")` shows, some 460,000 characters of English and code. A module of the standard library that
is in every installation but the most minimal ones; its text differs a little between versions of Python, which the
fingerprint tells apart.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from compressbench.core.data import Splits
from compressbench.core.errors import out_of_range
from compressbench.core.identity import digest
from compressbench.data import _location

if TYPE_CHECKING:
    import torch

    from compressbench.data.tasks.language_modelling import LanguageModelling
    from compressbench.data.tensors import TensorSplit

MODULE = "pydoc_data.topics"
OTHER = "\N{REPLACEMENT CHARACTER}"
CHARACTERS = "\n" + "".join(map(chr, range(ord(" "), ord("~") + 1))) + OTHER
"""The vocabulary: a new line, printable ASCII, and one for all other characters, so that every version has the same."""
TEST_SHARE = VALIDATION_SHARE = 0.1


@dataclass(frozen=True)
class PythonTopics:
    """The topics by name, one after the other. The first 80 % are for training, the next 10 % for validation, the last
    10 % are the test. Each is cut into pieces of `context` characters that do not overlap; the target of each character
    is the next one."""

    context: int

    def __post_init__(self) -> None:
        if not 1 <= self.context <= 10_000:
            raise out_of_range("context", self.context, "1 to 10,000 characters")

    @property
    def name(self) -> str:
        return "python_topics"

    @property
    def task(self) -> LanguageModelling:
        from compressbench.data.tasks.language_modelling import LanguageModelling

        return LanguageModelling(len(CHARACTERS), self.context)

    def class_names(self) -> list[str]:
        """Return the characters."""
        return list(CHARACTERS)

    def missing(self) -> str | None:
        if self._file():
            return None
        return f"{self.name} is not there: looked for {MODULE}, a part of Python that is not installed here."

    def sources(self) -> list[str]:
        return [str(file)] if (file := self._file()) else []

    def fingerprint(self) -> str:
        return _location.fingerprint(self, self.sources())

    def test_fingerprint(self) -> str:
        return digest([self.fingerprint(), self.context])  # the less a network may read, the less it can know

    def load(self) -> Splits:
        import torch

        _location.require(self.missing())
        number = {character: index for index, character in enumerate(CHARACTERS)}
        tokens = torch.tensor([number.get(character, number[OTHER]) for character in text()])
        test, validation = (round(share * len(tokens)) for share in (TEST_SHARE, VALIDATION_SHARE))
        parts = torch.split(tokens, [len(tokens) - test - validation, validation, test])
        return Splits(*(self._pieces(part) for part in parts))

    def _pieces(self, tokens: torch.Tensor) -> TensorSplit:
        from compressbench.data.tensors import TensorSplit

        pieces = (len(tokens) - 1) // self.context
        used = pieces * self.context
        return TensorSplit(tokens[:used].view(pieces, -1), tokens[1 : used + 1].view(pieces, -1))

    def _file(self) -> Path | None:
        try:
            found = importlib.util.find_spec(MODULE)
        except ModuleNotFoundError:  # of the package it lies in
            return None
        return Path(found.origin) if found and found.origin and Path(found.origin).is_file() else None


def text() -> str:
    """Return all topics, by name."""
    topics: dict[str, str] = importlib.import_module(MODULE).topics
    return "\n".join(topics[name] for name in sorted(topics))
