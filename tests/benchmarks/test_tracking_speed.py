"""What MLflow costs a run: paired with the least one can do, one batched write."""

from __future__ import annotations

import statistics
import time
from dataclasses import replace
from pathlib import Path

import pytest

from compressbench.tracking.content import content
from compressbench.tracking.send import send
from compressbench.tracking.store import client, embedded, experiment_id
from tests.tracking.records import record

ROUNDS = 25
EPOCHS = 100
WEIGHTS_BYTES = 3_000_000
"""A 50 % pruned AlexNet of Table 5 in fp32."""


@pytest.mark.benchmark
def test_a_run_takes_at_most_one_and_a_half_times_one_batched_write(tmp_path: Path) -> None:
    """The same parameters and metrics, in both; ours also sends tags, a dataset and files, and keeps its journal."""
    from mlflow.entities import Metric, Param

    store = embedded(tmp_path)
    ours, theirs = experiment_id(store, "table5"), experiment_id(store, "by hand")
    assert ours != theirs
    api, weights = client(store), bytes(WEIGHTS_BYTES)

    def batched(told) -> None:
        run = api.create_run(theirs, run_name=told.name).info.run_id
        metrics = [Metric(point.key, point.value, point.when, point.step) for point in told.metrics]
        api.log_batch(run, metrics=metrics, params=[Param(key, value) for key, value in told.params.items()])
        api.set_terminated(run)

    ratios = []
    for number in range(ROUNDS + 2):
        run = replace(record(seed=number, epochs=EPOCHS), plan_id=f"{number:016d}")
        folder = tmp_path / f"{number}"
        folder.mkdir()
        (folder / "record.json").write_text(run.to_json())
        (folder / "model.cbp").write_bytes(weights)
        told = content(run, folder, "")
        started = time.perf_counter()
        batched(told)
        between = time.perf_counter()
        assert send(run, folder, store) is not None
        ratios.append((time.perf_counter() - between) / (between - started))
    ratio = statistics.median(ratios[2:])  # the first two find everything cold
    quarters = statistics.quantiles(ratios[2:])
    print(
        f"send / one batched write of {len(told.metrics)} metrics: {ratio:.2f} ({quarters[0]:.2f} to {quarters[2]:.2f})"
    )
    assert ratio <= 1.5
