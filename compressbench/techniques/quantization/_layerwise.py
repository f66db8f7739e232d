"""Layers that are quantized one after another, by what they read."""

from __future__ import annotations

from compressbench.core.subject import Skipped, Subject
from compressbench.techniques._layer_sums import obstacle
from compressbench.techniques._layers import names_in, select


def layers_with_inputs(subject: Subject, targets: list[str], ignore: list[str]) -> list[str]:
    """Return the selected layers whose inputs can be looked at, in the order of definition; the others are reported.

    Raises ValueError for a layer that is none of them though a selector names it exactly, and if none is left.
    """
    found = []
    for name, layer in select(subject.model, targets, ignore).items():
        if not (why := obstacle(layer)):
            found.append(name)
        elif name in names_in(targets):
            raise ValueError(f"{name} cannot be quantized: {why}")
        else:
            subject.skipped.append(Skipped(name, why))
    if not found:
        why = f"{subject.skipped[-1].what}: {subject.skipped[-1].why}"
        raise ValueError(f"targets {targets} without ignore {ignore} leave no layer to quantize, e.g. {why}")
    return found
