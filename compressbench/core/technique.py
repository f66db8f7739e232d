"""Technique: one step of a stack, from a `Subject` to a `Subject`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from compressbench.core.context import Context
    from compressbench.core.subject import Subject


class Technique(ABC):
    """A frozen dataclass whose fields are its YAML keys and its MLflow parameters.

    Ranges are checked in `__post_init__` (ValueError naming key, value and what is allowed). The class
    declares, in the words of `TRAITS`, what the network must already be (`needs`), what it is afterwards
    (`adds`), and what it must not be yet (`refuses`), so that an impossible order is found before
    anything runs. `version` is raised when a change of the code changes results; it is part of the
    identity of a stage. `predictable` is False if parameters and MACs after it depend on trained weights.
    """

    TRAITS: ClassVar[frozenset[str]] = frozenset(
        {
            "trained",
            "filters_removed",
            "factored",
            "sparse",
            "retrained",
            "equalized",
            "quantized",
            "shared",
            "int8",
            "folded",
            "coded",
        }
    )
    needs: ClassVar[frozenset[str]] = frozenset()
    adds: ClassVar[frozenset[str]] = frozenset()
    refuses: ClassVar[frozenset[str]] = frozenset()
    version: ClassVar[int] = 1
    predictable: ClassVar[bool] = True

    @abstractmethod
    def apply(self, subject: Subject, context: Context) -> Subject:
        """Return the compressed subject; `subject` may be changed in place and must not be used afterwards.

        Raises ValueError, in words for people, if the technique cannot do what its fields ask for.
        """

    def fault_after(self, earlier: Sequence[Technique]) -> str | None:
        """Return why this technique makes no sense after `earlier`, or None. For rules that need the fields."""
        return None
