"""The curve of a training, an entry an epoch: which one is the best, and what is shown of the last one."""

from __future__ import annotations

from compressbench.core.task import Task, primary_spec
from compressbench.core.trainer import Curve


def is_best(entry: dict[str, float], curve: Curve, task: Task) -> bool:
    """Return whether the epoch is better than all before; of equal primary metrics the smaller loss wins."""
    key, sign = f"validation_{task.primary}", 1 if primary_spec(task).higher_is_better else -1

    def merit(epoch: dict[str, float]) -> tuple[float, float]:
        return sign * epoch[key], -epoch["validation_loss"]

    return all(merit(entry) > merit(earlier) for earlier in curve)


def note(curve: Curve, epochs: int, task: Task) -> str:
    """Return what stands behind the progress of the epoch after the curve."""
    found = f"epoch {len(curve) + 1}/{epochs}"
    if curve:
        last, key = curve[-1], f"validation_{task.primary}"
        found += f", loss {last['train_loss']:.3f}"
        found += f", validation {primary_spec(task).text(last[key])}" if key in last else ""
    return found
