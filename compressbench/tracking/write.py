"""One run, written to MLflow in as few calls as it allows: a call to a server costs 44 to 71 ms."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from compressbench.tracking.content import Content, clean
from compressbench.tracking.files import gathered
from compressbench.tracking.store import Store, client, experiment_id
from compressbench.tracking.view import PREFIX

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput
    from mlflow.tracking import MlflowClient

DIGEST_TAG = "mlflow.compressbench.content"
"""Says which content a run holds. The prefix keeps it out of the columns of the run list."""
METRICS_A_CALL = 900
PARAMS_A_CALL = 100  # MLflow's limits: 100 parameters, 1000 things in all
DIGEST_LENGTH = 36


def write(content: Content, store: Store) -> tuple[str, str]:
    """Return the ids of the experiment and of the one finished run that holds `content`.

    A run that holds it already is left as it is; one that is half written, or holds an older result of the
    same plan, is put into MLflow's bin, so that no plan is counted twice.
    """
    experiment = experiment_id(store, content.experiment)
    api = client(store)
    key, value = content.identity
    for old in api.search_runs([experiment], f"tags.{key} = '{value}'"):
        if old.info.end_time is not None and old.data.tags.get(DIGEST_TAG) == content.digest:
            return experiment, old.info.run_id
        api.delete_run(old.info.run_id)
    tags = {key: value, DIGEST_TAG: content.digest, **content.tags}
    run = api.create_run(experiment, start_time=content.started, tags=tags, run_name=content.name).info.run_id
    for metrics, params in _batches(content):
        api.log_batch(run, metrics=metrics, params=params)
    if content.dataset:
        api.log_inputs(run, datasets=_inputs(content.dataset))
    _copy_files(api, run, content)
    for name, view in content.views.items():
        api.set_experiment_tag(experiment, f"{PREFIX}{name}", view)
    api.set_terminated(run, "FAILED" if content.failed else "FINISHED", end_time=max(content.ended, 1))
    return experiment, run


def _batches(content: Content) -> Iterator[tuple[list[Any], list[Any]]]:
    from mlflow.entities import Metric, Param

    metrics = [Metric(point.key, point.value, point.when, point.step) for point in content.metrics]
    params = [Param(key, value) for key, value in content.params.items()]
    while metrics or params:
        yield metrics[:METRICS_A_CALL], params[:PARAMS_A_CALL]
        metrics, params = metrics[METRICS_A_CALL:], params[PARAMS_A_CALL:]


def _inputs(dataset: dict[str, Any]) -> list[DatasetInput]:
    """One input for both uses: MLflow tells datasets apart by name and digest only."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    facts = {key: value for key, value in dataset.items() if key not in ("name", "fingerprint")}
    entity = Dataset(
        name=str(dataset.get("name", "dataset")),
        digest=str(dataset.get("fingerprint", ""))[:DIGEST_LENGTH] or "unknown",
        source_type="compressbench",
        source=json.dumps({"name": dataset.get("name", "")}),
        profile=json.dumps(facts),
    )
    return [DatasetInput(entity, [InputTag("mlflow.data.context", "train, test")])]


def _copy_files(api: MlflowClient, run: str, content: Content) -> None:
    if content.files:
        with gathered({clean(name): source for name, source in content.files.items()}) as folder:
            api.log_artifacts(run, str(folder))
