"""The columns of MLflow's run list."""

from __future__ import annotations

import json
from typing import Any

from compressbench.tracking.view import columns_of, view
from tests.metric_specs import SPECS

COLUMNS = columns_of(SPECS, "top1")

BESIDE_THE_TABLE, IN_FRONT = 250, 90
"""Pixels that MLflow 3.17 takes for its menu and margins, and for the boxes in front of each run; seen in Chromium."""


def state_of(made: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.loads(made)["state"])
    return found


def right_edge(state: dict[str, Any], column: str) -> int:
    """Return where a column ends, in pixels from the left of the window."""
    before = state["columnOrder"][: state["columnOrder"].index(column) + 1]
    return BESIDE_THE_TABLE + IN_FRONT + sum(state["columnWidths"][name] for name in before)


def test_the_figures_and_what_was_swept_stand_within_1300_pixels() -> None:
    state = state_of(view("Results", COLUMNS, swept=("stages.prune.ratio", "seed")))
    for column in ("metrics.`top1`", "metrics.`size_bytes`", "metrics.`macs`", "metrics.`params_nonzero`"):
        assert column in state["selectedColumns"]
        assert right_edge(state, column) <= 1300
    assert right_edge(state, "params.`stages.prune.ratio`") <= 1300


def test_what_was_swept_comes_first_and_no_column_twice() -> None:
    order = state_of(view("Results", COLUMNS, swept=("stages.prune.ratio", "seed")))["columnOrder"]
    assert order[2:4] == ["params.`stages.prune.ratio`", "metrics.`top1`"]
    assert len(set(order)) == len(order)
    order = state_of(view("Results", COLUMNS, swept=("seed",)))["columnOrder"]
    assert order[2:4] == ["params.`seed`", "metrics.`top1`"]
    assert order.count("params.`seed`") == 1
