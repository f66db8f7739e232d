"""The columns a person wants, as a saved view of MLflow's run list: without one it shows no metric at all.

A saved view is a tag of the experiment. It stands in the menu `Views`, and a link can open it. The form of the
tag is MLflow's own and undocumented (3.17's `sharedViewState`); a version that does not know it ignores it.
"""

from __future__ import annotations

import json

PREFIX = "mlflow.sharedViewState."
RESULTS = "results"
CREATED_MS = 1_767_225_600_000
"""A fixed date, so that setting the same view again changes nothing."""
METRICS = ("macs", "macs_ratio", "params_nonzero", "size_bytes", "top1", "top1_change")
"""As many as fit beside MLflow's own columns. Non-zero parameters: of a sparse network all of them say nothing."""
PARAMS = ("dataset", "protocol", "seed")


def view(name: str, search: str = "", extra_params: tuple[str, ...] = ()) -> str:
    """Return the tag's value for a view called `name` of the runs that `search` finds.

    extra_params: parameters to show beside ours, such as the swept one. MLflow orders columns by name.
    """
    columns = [f"params.`{key}`" for key in (*extra_params, *PARAMS)] + [f"metrics.`{key}`" for key in METRICS]
    state = {
        "selectedColumns": columns,
        "searchFilter": search,
        "orderByKey": "attributes.start_time",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
    }
    return json.dumps({"name": name, "createdAt": CREATED_MS, "updatedAt": CREATED_MS, "state": json.dumps(state)})


def key_of_sweep(sweep_id: str) -> str:
    """Return the key of a sweep's view."""
    return f"sweep-{sweep_id}"
