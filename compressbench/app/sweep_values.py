"""A sweep over values given in Python, and its runs as a DataFrame."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

from compressbench.app.run import Ran, carry_out
from compressbench.app.sweep import attempt, carry_out_sweep
from compressbench.core.errors import PlanError
from compressbench.core.sweep import Outcome, Place

if TYPE_CHECKING:
    from pandas import DataFrame

    from compressbench.planning.prepare import Prepared


def sweep_of_values(words: Sequence[str], values: Mapping[str, Sequence[Any]], progress: bool) -> DataFrame:
    """Carry out a sweep over values given by key, keep its answer, and return a row a run (see `compressbench.sweep`).

    words: what all runs share. PlanError for a key without values, and for a value that cannot be written.
    """
    from compressbench.reporting.frame import sweep_frame

    swept = carry_out_sweep(
        [*words, *(_choice(key, list(given)) for key, given in values.items())], partial(_point, progress)
    )
    try:
        swept.write_tables()
        swept.draw()
    except Exception as error:
        warnings.warn(f"the plot or the table of the sweep is missing: {error}", stacklevel=3)
    swept.track()
    chosen = [dict(zip(values, each, strict=True)) for each in product(*values.values())]
    each_has = len(swept.note.values) // len(chosen)  # points, by what the recipe itself sweeps
    points = [{**text, **chosen[place // each_has]} for place, text in enumerate(swept.note.values)]
    return sweep_frame(points, swept.note, swept.note.by_run(swept.settings.folder))


def _choice(key: str, values: list[Any]) -> str:
    """Return the override that stands for each of the values in turn."""
    from compressbench.planning.overrides import written

    try:
        words = [written(value) for value in values]
    except TypeError as error:
        raise PlanError.of(key, str(error)) from error
    if not words:
        raise PlanError.of(key, "has no values; allowed: a list of one or more")
    return f"{key}={','.join(words)}" if len(words) > 1 else f"{key}=choice({words[0]})"


def _point(progress: bool, make: Callable[[], Prepared], place: Place) -> Outcome:
    """Carry out one run of a sweep without a word but its progress."""

    def work() -> Ran:
        from compressbench.running.progress import notebook_console

        ran = carry_out(make(), place, notebook_console() if progress else None)
        ran.track()
        return ran

    return attempt(place, work, lambda error: None)
