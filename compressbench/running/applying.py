"""Applying a technique: what other people's code raises becomes words for people."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

from compressbench.core.context import Context
from compressbench.core.errors import RunError, lack_of_memory
from compressbench.core.plan import Stage
from compressbench.core.subject import Subject
from compressbench.running.distilling import distilling


def applied(stage: Stage, subject: Subject, context: Context) -> Subject:
    """Return what the technique of a stage makes of a subject, which must not be used afterwards.

    ValueError, in words for people, for what the technique refuses, for whatever a technique of a plugin raises (with
    the line), for what one of ours does not expect of somebody else's network, and if it returns no Subject. What is
    wrong between our own techniques and networks is a fault of ours, and raised as it is.
    """
    network, ours = type(subject.model).__name__, type(stage.technique).__module__.startswith("compressbench.")
    try:
        if stage.distill is not None:
            context = distilling(stage.distill, subject, context)
        result: object = stage.technique.apply(subject, context)
    except (ValueError, RunError):
        raise
    except Exception as error:
        if lack_of_memory(error) or (ours and subject.architecture.is_ours):
            raise
        said = f"{type(error).__name__}: {error}"
        if ours:
            raise ValueError(f"{stage.kind} cannot work on {network}: {said}") from error
        raise ValueError(f"{stage.kind} raises {said}{_line(stage, error)}") from error
    if not isinstance(result, Subject):
        raise ValueError(f"{stage.kind} returns a {type(result).__name__}; a technique returns the Subject")
    return result


def _line(stage: Stage, error: Exception) -> str:
    """Return where in the technique's own file that was."""
    file = getattr(sys.modules.get(type(stage.technique).__module__), "__file__", None)
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f" ({Path(file).name}, line {lines[-1]})" if file and lines else ""
