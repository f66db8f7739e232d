"""A run that is going on, as MLflow shows it: what was told since is written together, now and then.

Whatever goes wrong is tried again later, from the start: what the run in MLflow holds by then is read back.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from compressbench.core.record import RunRecord
from compressbench.tracking import journal
from compressbench.tracking.content import TAG_LENGTH, Content, Point, clean, content
from compressbench.tracking.send import is_down, within
from compressbench.tracking.store import Store, client
from compressbench.tracking.write import Going, log, open_run

SECONDS_BETWEEN_WRITES = 1.0
SECONDS_AFTER_A_FAILURE = 60.0


@dataclass
class Live:
    """One run from its start to its end. going: what MLflow has of it; None before that is known."""

    opening: Content
    folder: Path
    store: Store
    going: Going | None = None
    points: list[Point] = field(default_factory=list)
    next_write: float = 0.0

    @classmethod
    def of(cls, record: RunRecord, folder: Path, store: Store) -> Live:
        """Return the run of `record`, whose status is `running`, with nothing written yet."""
        found = cls(replace(content(record, folder, ""), files={}), folder, store)
        if is_down(store):
            found.next_write = time.monotonic() + SECONDS_AFTER_A_FAILURE
        return found

    def reached(self, stage: str, figures: dict[str, float], when: int) -> None:
        """Keep figures of an epoch, or of a finished stage, for the next write. when: milliseconds since 1970."""
        step = int(figures.get("epoch", 0))
        self.points += [
            Point(clean(f"{stage}/{key}"), value, when, step) for key, value in figures.items() if key != "epoch"
        ]

    def pause(self) -> float | None:
        """Return after how many seconds there is something to write; None if there is nothing."""
        return max(0.0, self.next_write - time.monotonic()) if self.points or self.going is None else None

    def write(self) -> None:
        """Write what was told since. A failure is not said: the end of the run says it, if it is still one."""
        try:
            self.going = within(self.store.deadline_s, self._written)
            self.points, wait = [], SECONDS_BETWEEN_WRITES
        except Exception:  # a tracker never costs a result
            self.going, wait = None, SECONDS_AFTER_A_FAILURE
        self.next_write = time.monotonic() + wait

    def give_up(self, status: str, error: str = "") -> None:
        """Say what became of a run that came to no record. Raises whatever MLflow raises."""

        def work() -> None:
            going, api = self._written(), client(self.store)
            if error:
                api.set_tag(going.run, "error", error[:TAG_LENGTH])
            api.set_terminated(going.run, status)

        within(self.store.deadline_s, work)

    def _written(self) -> Going:
        going = self.going
        if going is None:
            going = open_run(self.opening, self.store)
            journal.write(self.folder, journal.Entry(self.store.name, going.experiment, going.run, ""))
        log(client(self.store), going, replace(self.opening, metrics=self.points, params={}, tags={}))
        return going
