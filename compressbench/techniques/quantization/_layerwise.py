"""Layers that are quantized one after another, by what they read."""

from __future__ import annotations

from compressbench.core.subject import Subject
from compressbench.techniques._layer_sums import obstacle
from compressbench.techniques._layers import select, usable


def layers_with_inputs(subject: Subject, targets: list[str], ignore: list[str]) -> list[str]:
    """Return the selected layers whose inputs can be looked at, in the order of definition; the others are reported.

    Raises ValueError for a layer that is none of them though a selector names it exactly, and if none is left.
    """
    obstacles = {name: obstacle(layer) for name, layer in select(subject.model, targets, ignore).items()}
    return usable(subject.skipped, obstacles, targets, "cannot be quantized")
