"""The columns a person wants, as a saved view of MLflow's run list: without one it shows no metric at all.

A saved view is a tag of the experiment. It stands in the menu `Views`, and a link can open it. The form of the
tag is MLflow's own and undocumented (3.17's `sharedViewState`); a version that does not know it ignores it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from compressbench.core.specs import Specs, costs, sparse_one

PREFIX = "mlflow.sharedViewState."
RESULTS = "results"
CREATED_MS = 1_767_225_600_000
"""A fixed date, so that setting the same view again changes nothing."""
NAME, CREATED, DURATION = "attributes.`Run Name`", "runDateAndNestInfo", "duration"
"""What MLflow calls the columns that are always there."""
LEAST_WIDTH, LETTER_WIDTH = 80, 8
"""Of a metric's column, in pixels."""
PARAMS = {"dataset": 80, "protocol": 80, "seed": 60}
SWEPT_WIDTH = 72


def columns_of(specs: Specs, primary: str) -> tuple[str, ...]:
    """Return the metrics that have a column: the primary one, what it costs (of a count that has one, what is not zero:
    of a sparse network all of it says nothing), and the change of the primary one."""
    sparse = {spec.name: sparse_one(specs, spec.name) for spec in costs(specs)}
    found = [other.name if other else name for name, other in sparse.items()]
    return (primary, *found, f"{primary}_change") if primary in specs else tuple(found)


def view(name: str, metrics: Sequence[str] = (), search: str = "", swept: tuple[str, ...] = ()) -> str:
    """Return the tag's value for a view called `name` of the runs that `search` finds.

    metrics: as `columns_of` returns them. swept: parameters to show first, but the seed only if nothing else was
    swept. The widths are such that the figures stand on a laptop's screen, beside the pane that MLflow opens for
    whoever sees it for the first time.
    """
    widths = {f"params.`{key}`": SWEPT_WIDTH for key in [key for key in swept if key != "seed"] or swept}
    widths |= {f"metrics.`{key}`": max(LEAST_WIDTH, LETTER_WIDTH * len(key) + 4) for key in metrics}
    widths |= {f"params.`{key}`": width for key, width in PARAMS.items() if f"params.`{key}`" not in widths}
    state = {
        "selectedColumns": list(widths),
        "columnOrder": [NAME, CREATED, *widths, DURATION],
        "columnWidths": {NAME: 212, CREATED: 116, **widths, DURATION: 80},
        "searchFilter": search,
        "orderByKey": "attributes.start_time",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
    }
    return json.dumps({"name": name, "createdAt": CREATED_MS, "updatedAt": CREATED_MS, "state": json.dumps(state)})


def is_unchanged(tag: str) -> bool:
    """Return whether a view is as some version of ours made it, so that another one may replace it."""
    return f'"updatedAt": {CREATED_MS}' in tag


def key_of_sweep(sweep_id: str) -> str:
    """Return the key of a sweep's view."""
    return f"sweep-{sweep_id}"
