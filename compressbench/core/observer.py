"""Observer: who is told how a run goes on, while it does."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from compressbench.core.record import RunRecord


class Observer(Protocol):
    """Told what there is to see so far. Must return at once and raise nothing: the run does not wait for it."""

    def started(self, record: RunRecord, folder: Path) -> None:
        """Hear that stages are about to be computed. record: status `running`, without stages; folder: the run's."""
        ...

    def reached(self, stage: str, figures: dict[str, float]) -> None:
        """Hear of an epoch (an entry of the stage's curve, with the key `epoch`) or what a finished stage measures."""
        ...


class Nobody:
    """Told everything, tells nobody."""

    def started(self, record: RunRecord, folder: Path) -> None:
        pass

    def reached(self, stage: str, figures: dict[str, float]) -> None:
        pass


NOBODY = Nobody()
