"""Source: another stage's result that a stage reads, such as a teacher."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

from compressbench.core.identity import NOT_IDENTITY
from compressbench.core.sealed import file_digest

START = "start"
"""The name of what the first stage starts from."""


@dataclass(frozen=True)
class Source:
    """What a stage reads: `{stage: train}`, `{recipe: table6/cifar10_base, stage: train}` or `{file: teacher.cbp}`.

    stage: a stage before this one, or one of `recipe`; `start` is the network before the first stage. recipe: another
    recipe; it is run with this run's data, seed, training, limits and device, but for what `overrides` say
    (`[seed=0, training=survey]`). file: a packed file, or weights for the network that this run starts from.

    No field is part of an identity by itself: that of the stage that reads covers what is read (`Plan.stage_ids`).
    """

    stage: str = field(default="", metadata=NOT_IDENTITY)
    recipe: str = field(default="", metadata=NOT_IDENTITY)
    overrides: list[str] = field(default_factory=list, metadata=NOT_IDENTITY)
    file: str = field(default="", metadata=NOT_IDENTITY)

    def __post_init__(self) -> None:
        if self.file and (self.stage or self.recipe):
            raise ValueError("file is given beside stage or recipe; allowed: one of {stage}, {recipe, stage}, {file}")
        if not self.file and not self.stage:
            raise ValueError("stage has no value; allowed: {stage}, {recipe, stage} or {file}")
        if self.overrides and not self.recipe:
            raise ValueError("overrides are given, but they are for another recipe; name it (recipe)")

    @property
    def run(self) -> str:
        """What names the part of another recipe that is run for it; empty for a stage of this run, or a file."""
        return " ".join([str(self), *self.overrides]) if self.recipe else ""

    def __str__(self) -> str:
        return self.file or (f"{self.recipe}: {self.stage}" if self.recipe else self.stage)

    @property
    def path(self) -> Path:
        return Path(self.file).expanduser()

    def file_id(self) -> str:
        """Return what identifies the file: its content, wherever it lies. ValueError if it cannot be read."""
        try:
            return file_digest(self.path)
        except OSError as error:
            raise ValueError(f"the file {self.file} cannot be read: {error.strerror}") from error


def sources_in(value: Any) -> Iterator[Source]:
    """Yield every source that a technique reads: those in its fields, and in what these hold."""
    if isinstance(value, Source):
        yield value
    elif isinstance(value, dict):
        for content in value.values():
            yield from sources_in(content)
    elif isinstance(value, list | tuple):
        for content in value:
            yield from sources_in(content)
    elif is_dataclass(value):
        for own in fields(value):
            yield from sources_in(getattr(value, own.name))
