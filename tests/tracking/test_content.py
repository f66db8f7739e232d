"""What MLflow is told of a run that starts from given weights, and of one before which there was nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from compressbench.core.record import RunRecord, StageRecord
from compressbench.tracking.content import Content, content
from compressbench.tracking.journal import content_of
from compressbench.tracking.send import send
from compressbench.tracking.store import Store, client
from tests.tracking.records import record, written

GIVEN = StageRecord("given", "given", "g", {"top1": 0.9889, "params": 2_870_000.0, "size_bytes": 11_480_000.0})


def metrics(told: Content) -> dict[str, float]:
    return {point.key: point.value for point in told.metrics}


def from_given_weights() -> RunRecord:
    """Return a run whose first stage prunes a given network."""
    whole = record(0.5)
    return replace(whole, stages=whole.stages[1:], given=GIVEN)


def test_a_given_network_is_in_mlflow_and_changes_are_against_it(store: Store, outputs: Path) -> None:
    run = from_given_weights()
    found = client(store).get_run(send(run, written(run, outputs), store)).data.metrics
    assert found["given/top1"] == 0.9889
    assert found["top1_change"] == pytest.approx(0.9858 - 0.9889)
    assert found["params_ratio"] == 0.25
    assert found["size_bytes_ratio"] == 0.25


def test_a_given_network_alone_has_headlines_and_no_change(tmp_path: Path) -> None:
    found = metrics(content(replace(from_given_weights(), stages=[]), tmp_path, ""))
    assert (found["top1"], found["given/top1"]) == (0.9889, 0.9889)
    assert "top1_change" not in found


def test_without_a_network_before_compression_there_is_no_change(tmp_path: Path) -> None:
    run = record(0.5)
    run.stages[0].kind = "pruning/gradual"
    found = metrics(content(run, tmp_path, ""))
    assert "top1" in found
    assert not {"top1_change", "params_ratio", "macs_ratio", "size_bytes_ratio"} & found.keys()


def test_a_given_network_that_was_measured_since_is_sent_again() -> None:
    run = from_given_weights()
    assert content_of(run) != content_of(replace(run, given=None))
