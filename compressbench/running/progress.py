"""How far long work is: bars on a terminal, a line a task otherwise."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from importlib.util import find_spec
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from compressbench.core.context import Advance, Progress

SECONDS_BETWEEN_LINES = 30.0


def notebook_console() -> Console:
    """Return where progress of calls from Python is shown: bars on a terminal or in a notebook, else lines on stderr.

    rich needs ipywidgets for bars in a notebook; without them it gets lines too.
    """
    found = Console(stderr=True)
    return found if not found.is_jupyter or find_spec("ipywidgets") else Console(stderr=True, force_jupyter=False)


class ConsoleProgress:
    """Progress on a console; a context manager, so that bars are taken down however the run ends."""

    def __init__(self, console: Console):
        self.console = console
        self.has_bars = console.is_terminal or console.is_jupyter
        self.bars = Bars(
            TextColumn("{task.description:<24}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("[dim]{task.fields[note]}"),
            console=console,
            disable=not self.has_bars,
        )

    def __enter__(self) -> ConsoleProgress:
        self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bars.stop()

    def task(self, description: str, total: int) -> contextlib.AbstractContextManager[Advance]:
        return self._bar(description, total) if self.has_bars else self._lines(description, total)

    @contextlib.contextmanager
    def _bar(self, description: str, total: int) -> Iterator[Advance]:
        task = self.bars.add_task(description, total=total, note="")

        def advance(steps: int = 1, note: str = "") -> None:
            self.bars.advance(task, steps)
            if note:
                self.bars.update(task, note=note)

        yield advance

    @contextlib.contextmanager
    def _lines(self, description: str, total: int) -> Iterator[Advance]:
        done, last, latest = 0, time.monotonic(), ""

        def advance(steps: int = 1, note: str = "") -> None:
            nonlocal done, last, latest
            done += steps
            latest = note or latest
            if done < total and time.monotonic() - last > SECONDS_BETWEEN_LINES:
                last = time.monotonic()
                self.console.print(f"{description}: {done} of {total}  {latest}", highlight=False)

        started = last
        yield advance
        seconds = time.monotonic() - started
        if seconds > 1:
            self.console.print(f"{description}: done in {seconds:.1f} s  {latest}", highlight=False)


@contextlib.contextmanager
def shown_on(console: Console | None, name: str) -> Iterator[Progress]:
    """Lend a progress that is shown on a console, on none if there is none. name: put before everything."""
    if console is None:
        yield SilentProgress()
        return
    with ConsoleProgress(console) as progress:
        yield NamedProgress(progress, name)


class NamedProgress:
    """Puts a name before what work is called: the stage's before the technique's, the run's before both."""

    def __init__(self, progress: Progress, name: str):
        self.progress, self.name = progress, name

    def task(self, description: str, total: int) -> contextlib.AbstractContextManager[Advance]:
        return self.progress.task(": ".join(filter(None, [self.name, description])), total)


class SilentProgress:
    """Shows nothing: for rehearsals and tests."""

    @contextlib.contextmanager
    def task(self, description: str, total: int) -> Iterator[Advance]:
        yield lambda steps=1, note="": None
