"""The stored weights are coded as in Deep Compression (Han et al. 2016)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from compressbench.core.context import Context
from compressbench.core.errors import out_of_range
from compressbench.core.format import Coding
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique

MOST_BITS = 16


@dataclass(frozen=True)
class CodeWithHuffman(Technique):
    """Store every tensor of few values as gaps between non-zeros and as values, each with a Huffman code of its own.

    Source: Han et al. 2016, "Deep Compression", sections 2 and 4. A gap has index_bits bits, 1 to 16; a longer one is
    bridged with a zero that is stored. null: for each tensor what makes it smallest. The paper has 5, for AlexNet 4.
    """

    index_bits: int | None

    needs: ClassVar[frozenset[str]] = frozenset({"trained"})
    adds: ClassVar[frozenset[str]] = frozenset({"coded"})
    refuses: ClassVar[frozenset[str]] = frozenset({"coded"})

    def __post_init__(self) -> None:
        if self.index_bits is not None and not 1 <= self.index_bits <= MOST_BITS:
            raise out_of_range("index_bits", self.index_bits, f"1 to {MOST_BITS}, or null")

    def apply(self, subject: Subject, context: Context) -> Subject:
        subject.coding = Coding(("relative_huffman",), self.index_bits)
        return subject
