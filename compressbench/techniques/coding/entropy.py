"""The stored weights are coded as small as we can."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from compressbench.core.context import Context
from compressbench.core.format import Coding
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique

CODERS = ("fixed", "bitmask", "huffman", "relative_huffman", "ans")


@dataclass(frozen=True)
class CodeWithEntropy(Technique):
    """Let each tensor be stored by the coder that makes it smallest.

    context: whether the context model is among them, which learns where the zeros of a layer lie, by rows, columns and
    kernel positions; it is the smallest nearly always and takes the longest.
    """

    context: bool

    needs: ClassVar[frozenset[str]] = frozenset({"trained"})
    adds: ClassVar[frozenset[str]] = frozenset({"coded"})
    refuses: ClassVar[frozenset[str]] = frozenset({"coded"})

    def apply(self, subject: Subject, context: Context) -> Subject:
        subject.coding = Coding((*CODERS, "context") if self.context else CODERS)
        return subject
