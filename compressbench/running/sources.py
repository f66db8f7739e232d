"""What a stage reads beside the result of the stage before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from compressbench.core.errors import suggestion
from compressbench.core.source import Source
from compressbench.core.subject import Subject

Load = Callable[[], Subject]
"""Returns a copy of a stage's result."""


def subject_of(source: Source, earlier: Mapping[str, Load]) -> Subject:
    """Return what a stage reads. earlier: what loads the stages before it, by name.

    ValueError, naming the stages there are, for one that is not before it.
    """
    if source.stage not in earlier:
        near = suggestion(source.stage, list(earlier))
        raise ValueError(f"there is no stage {source.stage!r} before this one; {near}")
    return earlier[source.stage]()
