"""What a result is held against: the limits of a budget, and the published figures of a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from compressbench.core.errors import out_of_range

LARGEST_DROP = 0.5
"""A budget allows a fraction to drop by no more: whoever writes 1 means one point, not all of the accuracy."""


@dataclass(frozen=True)
class Budget:
    """Limits on the result and on the work; a broken one is an error. None: no limit.

    In YAML all of it is one mapping: names of metrics stand beside `accuracy_drop`, `epochs` and `seconds`.

    limits: by metric, what its figure may be at most after the last stage; at least, where higher is better.
    accuracy_drop: how much worse than before compression (`core.before`) the task's primary metric may be, in its unit.
    epochs: of all stages together. seconds: of the whole run.
    """

    limits: dict[str, float] = field(default_factory=dict)
    accuracy_drop: float | None = None
    epochs: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        for key in ("epochs", "seconds"):
            value = getattr(self, key)
            if value is not None and value < 0:
                raise out_of_range(key, value, "0 or more")

    def as_dict(self) -> dict[str, float]:
        """Return it as it stands in YAML, without what is not limited."""
        words = {key: value for key, value in vars(self).items() if key != "limits" and value is not None}
        return {**self.limits, **words}


@dataclass(frozen=True)
class Reference:
    """The published figures of a row. Fractions are fractions, counts are plain numbers as printed.

    In YAML the figures stand beside the other keys: `reference: {top1: 0.9853, source: ...}`.

    figures: by metric, of the network after the last stage. before: those of the network before compression.
    dataset: what the paper measured on.
    tolerance: how far ours may be off, by metric (absolute for fractions, relative for counts).
    corrected: what a misprinted figure should be; the print is shown, this is what ours is held against.
    handicap: the row that measures what other data than the paper's costs a network without compression, by the name of
    its recipe (`table6/cifar10_base`): its published primary metric minus ours.
    beside: another row of the same table, from which this one differs in one thing; the report pairs the two by seed.
    note: misprints and doubts; the report repeats it. source: paper and table.
    """

    source: str = ""
    dataset: str = ""
    figures: dict[str, float] = field(default_factory=dict)
    before: dict[str, float] = field(default_factory=dict)
    tolerance: dict[str, float] = field(default_factory=dict)
    corrected: dict[str, float] = field(default_factory=dict)
    handicap: str | None = None
    beside: str = ""
    note: str = ""

    @classmethod
    def of(cls, written: Mapping[str, Any]) -> Reference:
        """Return the reference of a mapping as it stands in YAML and in records; its values are of the right types."""
        words = {own.name for own in fields(cls)} - {"figures"}
        figures = {key: value for key, value in written.items() if key not in words}
        return cls(figures=figures, **{key: value for key, value in written.items() if key in words})

    def as_dict(self) -> dict[str, Any]:
        """Return it as it stands in YAML, without what is not said."""
        ordered = {key: dict(sorted(v.items())) if isinstance(v, dict) else v for key, v in vars(self).items()}
        said = {key: value for key, value in ordered.items() if value not in ("", None, {})}
        figures = said.pop("figures", {})
        return {**{key: said.pop(key) for key in ("source", "dataset") if key in said}, **figures, **said}
