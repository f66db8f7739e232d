"""What a stage reads beside the result of the stage before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from compressbench.core.errors import RunError, suggestion
from compressbench.core.plan import Plan
from compressbench.core.source import Source
from compressbench.core.subject import Subject
from compressbench.packing import packed_file
from compressbench.running.start import start_subject

Load = Callable[[], Subject]
"""Returns a copy of a stage's result."""
Elsewhere = Callable[[Source], Subject]
"""Returns a copy of what another recipe's stage made, or of what lies in a file."""


def subject_of(source: Source, earlier: Mapping[str, Load], elsewhere: Elsewhere) -> Subject:
    """Return what a stage reads. earlier: what loads the stages before it, by name.

    ValueError, naming the stages there are, for one that is not before it.
    """
    if source.file or source.recipe:
        return elsewhere(source)
    if source.stage not in earlier:
        near = suggestion(source.stage, list(earlier))
        raise ValueError(f"there is no stage {source.stage!r} before this one; {near}")
    return earlier[source.stage]()


def subject_in_file(source: Source, plan: Plan) -> Subject:
    """Return the network of a packed file, or the plan's own network with the weights of any other file.

    ValueError for a file that cannot be read, or weights that do not fit.
    """
    if not source.path.is_file():
        raise ValueError(f"there is no file {source.file}")
    try:
        if source.path.suffix == ".cbp":
            return packed_file.read(source.path)
        return start_subject(replace(plan, model=replace(plan.model, weights=source.file)))
    except (OSError, RunError, packed_file.PackedFileError) as error:
        raise ValueError(f"the file {source.file} cannot be read: {error}") from error
