"""Outputs of student and teacher side by side."""

from __future__ import annotations

from torch import Tensor

from compressbench.core.objective import Seen


def logits_of_both(seen: Seen) -> tuple[Tensor, Tensor]:
    """Return the student's and the teacher's outputs. ValueError unless they are of the same classes, two or more; the
    last dimension counts these."""
    ours, theirs = seen.outputs, seen.teacher_outputs
    if ours.shape != theirs.shape or ours.shape[-1] < 2:
        shapes = f"{list(theirs.shape[1:])}, the student {list(ours.shape[1:])}"
        raise ValueError(f"the teacher gives {shapes}; distillation needs the same classes, two or more")
    return ours, theirs
