"""Sweep list: how far sweeps are, a row a sweep; and of one, where each point is and why it failed."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from compressbench.core.sweep import SweepRecord, shortened
from compressbench.core.sweep_progress import (
    FAILED,
    FINISHED,
    INTERRUPTED,
    NOT_STARTED,
    RUNNING,
    STATES,
    PointState,
    Progress,
)
from compressbench.reporting.formatting import duration
from compressbench.reporting.page import Grid, Page


def list_page(found: Sequence[Progress]) -> Page:
    """Return a row a sweep, in the order given."""
    headings = [
        "sweep",
        "name",
        "what",
        "started",
        "launcher",
        "state",
        "points",
        *(FINISHED, FAILED, RUNNING),
        "missing",
    ]
    grid = Grid("", headings, left=6, optional=("launcher", "started", "name"))
    for each in found:
        counts = Counter(state.state for state in each.states)
        missing = counts[INTERRUPTED] + counts[NOT_STARTED]
        figures = [counts.total(), counts[FINISHED], counts[FAILED], counts[RUNNING], missing]
        note = each.note
        told = [note.sweep, note.name, _what(note), local(note.started), note.launcher, overall(each)]
        grid.rows.append([*told, str(figures[0]), *(str(figure) if figure else "" for figure in figures[1:])])
    says = "compressbench sweep status NAME: its points; resume NAME: what is missing; report NAME: the answer"
    return Page("sweeps", grids=[_without_nothing(grid)], remarks=[says])


def status_page(found: Progress, only: Sequence[str] = ()) -> Page:
    """Return where each point of a sweep is. only: the states to show; all if empty."""
    note, states = found.note, found.states
    keys = list(dict.fromkeys(key for values in note.values for key in values))
    grid = Grid("", ["point", *shortened(keys), "state", "what"], left=len(keys) + 3)
    for each in states:
        if not only or each.state in only:
            words = [each.values.get(key, "") for key in keys]
            grid.rows.append([str(each.number), *words, each.state, _detail(each)])
    counts = Counter(each.state for each in states)
    told = [f"{counts[state]} {state}" for state in STATES if counts[state]]
    page = Page(f"sweep {note.sweep}{f' ({note.name})' if note.name else ''}: {overall(found)}")
    page.introduction = [f"{len(states)} points: {', '.join(told)}"]
    if note.started:
        page.introduction.append(f"started {local(note.started)} in {note.folder}, launcher {note.launcher}")
    page.introduction += [f"compressbench run -m {shlex.join(note.overrides)}"] if note.overrides else []
    page.grids = [grid] if grid.rows else []
    return page


def overall(found: Progress) -> str:
    """Return where a sweep is as a whole: running, finished, failed (all points ended, some in an error) or
    interrupted."""
    states = {each.state for each in found.states}
    if found.living:
        return RUNNING
    if states <= {FINISHED, FAILED}:
        return FAILED if FAILED in states else FINISHED
    return INTERRUPTED


def local(time: str) -> str:
    """Return a time in this machine's zone: `2026-01-31 14:05`; what is no time as it is."""
    try:
        return datetime.fromisoformat(time).astimezone().strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return time


def _detail(point: PointState) -> str:
    """Return what is to be said of a point: its folder, why it failed, who works at it and since when."""
    if point.outcome is not None:
        return point.outcome.run or point.outcome.error
    if point.work is None:
        return ""
    process = point.work.process
    if point.state != RUNNING:
        return f"{process.words} has {'stopped' if point.work.stopped else 'ended'}; `resume` goes on with it"
    so_far = f"{process.words}, since {local(point.work.since)}{_so_far(point.work.since)}"
    return so_far if process.here else f"{so_far}; whether it still runs cannot be seen from here"


def _so_far(since: str) -> str:
    try:
        seconds = (datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds()
    except (ValueError, TypeError):
        return ""
    return f" ({duration(seconds)})" if seconds > 0 else ""


def _what(note: SweepRecord) -> str:
    """Return what is swept: `quickstart over ratio, seed`."""
    recipes = [text.removeprefix("recipe=") for text in note.overrides if text.startswith("recipe=")]
    keys = list(dict.fromkeys(key for values in note.values for key in values if key != "recipe"))
    over = f"over {', '.join(shortened(keys))}" if keys else ""
    return " ".join(filter(None, [*recipes, over]))


def _without_nothing(grid: Grid) -> Grid:
    """Return the table without columns of words in which no row says anything: nobody has to name a sweep."""
    for column, heading in reversed(list(enumerate(grid.headings[: grid.left]))):
        if not any(row[column] for row in grid.rows):
            grid, grid.left = grid.without(heading), grid.left - 1
    return grid
