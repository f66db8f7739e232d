"""One run, written to MLflow in as few calls as it allows: a call to a server costs 44 to 71 ms."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from compressbench.tracking.content import Content, clean
from compressbench.tracking.files import gathered
from compressbench.tracking.store import Store, client, experiment_id, show_columns
from compressbench.tracking.view import PREFIX

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, Run
    from mlflow.tracking import MlflowClient

DIGEST_TAG = "mlflow.compressbench.content"
"""Says which content a run holds. The prefix keeps it out of the columns of the run list."""
OF_AN_END = (DIGEST_TAG, "error", "budget")
"""Tags that say how a run ended; one that goes on again has none of them."""
METRICS_A_CALL = 850
PARAMS_A_CALL = 100  # MLflow's limits: 100 parameters, 100 tags, 1000 things in all
DIGEST_LENGTH = 36


@dataclass
class Going:
    """A run in MLflow that is not at its end yet. held: values of the metrics it has, by key and step."""

    experiment: str
    run: str
    held: dict[tuple[str, int], float]


def write(content: Content, store: Store, going: Going | None = None) -> tuple[str, str]:
    """Return the ids of the experiment and of the one ended run that holds `content`.

    A run that holds it already is left as it is. One that is going on, or was given up, is completed; one that holds
    something else for the same plan goes into MLflow's bin, so that no plan is counted twice. going: what is known
    of the run that was shown while it went on.
    """
    experiment = experiment_id(store, content.experiment)
    show_columns(store, experiment, content.columns)
    api = client(store)
    found = _with_identity(api, experiment, content)
    kept = next((run.info.run_id for run in found if _holds(run, content)), None)
    if kept is None:
        known = going if going and going.run in [run.info.run_id for run in found] and _agrees(going, content) else None
        going = known or _taken_over(api, found, content) or _created(api, experiment, content)
        _complete(api, going, content)
        kept = going.run
    for old in found:
        if old.info.run_id != kept:
            api.delete_run(old.info.run_id)
    return experiment, kept


def open_run(content: Content, store: Store) -> Going:
    """Return a run of MLflow's that goes on and holds the parameters: one that was given up, or a new one.

    Whatever else holds the same plan stays until there is a result to replace it.
    """
    experiment = experiment_id(store, content.experiment)
    show_columns(store, experiment, content.columns)
    api = client(store)
    going = _taken_over(api, _with_identity(api, experiment, content), content) or _created(api, experiment, content)
    log(api, going, content)
    return going


def _with_identity(api: MlflowClient, experiment: str, content: Content) -> list[Run]:
    key, value = content.identity
    return list(api.search_runs([experiment], f"tags.{key} = '{value}'"))


def _holds(run: Run, content: Content) -> bool:
    return run.info.status == content.status and run.data.tags.get(DIGEST_TAG) == content.digest


def _created(api: MlflowClient, experiment: str, content: Content) -> Going:
    tags = {**content.tags, **dict([content.identity])}
    run = api.create_run(experiment, start_time=content.started, tags=tags, run_name=content.name)
    return Going(experiment, run.info.run_id, {})


def _taken_over(api: MlflowClient, found: list[Run], content: Content) -> Going | None:
    """Return a run that never came to a result and holds nothing that `content` contradicts, going on again."""
    for run in found:
        if run.info.status == "FINISHED" or not run.data.params.items() <= content.params.items():
            continue
        histories = [api.get_metric_history(run.info.run_id, key) for key in run.data.metrics]
        held = {(point.key, point.step): point.value for history in histories for point in history}
        going = Going(run.info.experiment_id, run.info.run_id, held)
        if not _agrees(going, content):
            continue
        for tag in run.data.tags.keys() & set(OF_AN_END):
            api.delete_tag(going.run, tag)
        api.update_run(going.run, status="RUNNING", name=content.name)
        return going
    return None


def _agrees(going: Going, content: Content) -> bool:
    """Return whether no metric the run holds has another value in `content`; how long an epoch took may differ."""
    told = {(point.key, point.step): stored(point.value) for point in content.metrics}
    return all(
        told.get(place, stored(value)) == stored(value)
        for place, value in going.held.items()
        if not place[0].endswith("/seconds")
    )


def stored(value: float) -> float | None:
    """Return a metric's value as MLflow gives it back: infinities are cut, and no number equals itself."""
    return None if math.isnan(value) else min(max(value, -sys.float_info.max), sys.float_info.max)


def _complete(api: MlflowClient, going: Going, content: Content) -> None:
    log(api, going, content)
    if content.dataset:
        api.log_inputs(going.run, datasets=_inputs(content.dataset))
    _copy_files(api, going.run, content)
    for name, view in content.views.items():
        api.set_experiment_tag(going.experiment, f"{PREFIX}{name}", view)
    api.set_tag(going.run, DIGEST_TAG, content.digest)
    api.set_terminated(going.run, content.status, end_time=max(content.ended, 1))


def log(api: MlflowClient, going: Going, content: Content) -> None:
    """Write parameters, tags, and the metrics that the run does not hold yet."""
    from mlflow.entities import Metric, Param, RunTag

    new = [point for point in content.metrics if (point.key, point.step) not in going.held]
    metrics = [Metric(point.key, point.value, point.when, point.step) for point in new]
    params = [Param(key, value) for key, value in content.params.items()]
    tags = [RunTag(key, value) for key, value in content.tags.items()]
    while metrics or params or tags:
        api.log_batch(going.run, metrics[:METRICS_A_CALL], params[:PARAMS_A_CALL], tags)
        metrics, params, tags = metrics[METRICS_A_CALL:], params[PARAMS_A_CALL:], []
    going.held |= {(point.key, point.step): point.value for point in new}


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
