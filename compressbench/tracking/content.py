"""A run as MLflow shows it: names that make sense in its run list without any configuration."""

from __future__ import annotations

import getpass
import json
import math
import re
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from compressbench.core.metric import plain
from compressbench.core.record import RunRecord
from compressbench.core.specs import costs, headlines
from compressbench.core.structure import flatten
from compressbench.core.sweep import worded
from compressbench.tracking.files import description, files_of
from compressbench.tracking.model import left_out, model_tags
from compressbench.tracking.view import columns_of

STATUS = {"running": "RUNNING", "finished": "FINISHED", "failed": "FAILED"}
"""What MLflow calls what became of a run."""
SHORTER = {"model.name": "model", "dataset.name": "dataset"}
"""What the command line calls `model=` and `dataset=` is called so here, too."""
PARAM_LENGTH = 6000
TAG_LENGTH = 5000


class Point(NamedTuple):
    """One value of a metric; `when` in milliseconds since 1970."""

    key: str
    value: float
    when: int
    step: int = 0


@dataclass(frozen=True)
class Content:
    """Everything one MLflow run is to hold.

    identity: the tag, and its value, that no two runs of the experiment share. digest: of what is told; a run
    with the same one is up to date. files: a file to copy, or its text, by its name among the artifacts. status: in
    MLflow's words.
    dataset: as in the record. views: saved views of the run list, by key. columns: metrics that have one in that list.
    started, ended: milliseconds since 1970.
    """

    experiment: str
    name: str
    identity: tuple[str, str]
    digest: str
    params: dict[str, str]
    metrics: list[Point]
    tags: dict[str, str]
    files: dict[str, Path | str]
    started: int
    ended: int
    status: str = "FINISHED"
    dataset: dict[str, Any] = field(default_factory=dict)
    views: dict[str, str] = field(default_factory=dict)
    columns: tuple[str, ...] = ()


def experiment_of(table: str, row: str) -> str:
    """Return the experiment a row's runs go to: its table's; a recipe outside any table has one of its own."""
    return clean(row if table == "." else table)


def content(record: RunRecord, folder: Path, digest: str) -> Content:
    """Return what MLflow is told about `record`, whose files lie in `folder`; digest: `journal.content_of(record)`."""
    started, ended = times(record)
    return Content(
        experiment=experiment_of(record.table, record.row),
        name=name_of(record),
        identity=("plan_id", record.plan_id),
        digest=digest,
        params=_params(record),
        metrics=[*_final(record, ended), *_stages(record, started)],
        tags=_tags(record, folder),
        files=files_of(record, folder),
        started=started,
        ended=ended,
        status=STATUS[record.status],
        dataset=record.dataset,
        columns=columns_of(record.metric_specs, record.primary),
    )


def name_of(record: RunRecord) -> str:
    """Return the row and the seed; of a run that differs from the recipe's own first what differs, because lists and
    charts cut long names: `ratio=0.5 seed 1 of mnist_l1norm`."""
    differs = {key: value for key, value in {**record.changed, **record.swept}.items() if key not in ("seed", "recipe")}
    seed = f"seed {record.seed}"
    return f"{worded(differs)} {seed} of {record.row}" if differs else f"{record.row} {seed}"


def tag_of_sweep(sweep: str) -> str:
    """Return the tag that the runs of one sweep have: each has one of its own, because a run may be in many."""
    return f"sweep_{sweep}"


def times(record: RunRecord) -> tuple[int, int]:
    """Return when the run started and ended; a record without a readable time ends now."""
    try:
        started = round(datetime.fromisoformat(record.started).timestamp() * 1000)
    except ValueError:
        started = round((time.time() - record.seconds) * 1000)
    return started, started + round(record.seconds * 1000)


def clean(name: str) -> str:
    """Return `name` with what MLflow does not allow in names replaced."""
    return re.sub(r"[^\w\-. :/]", "_", name, flags=re.ASCII)


def _params(record: RunRecord) -> dict[str, str]:
    flat = {"protocol": record.protocol, "seed": record.seed, **flatten(record.plan)}
    text = {SHORTER.get(key, key): _text(value) for key, value in flat.items() if value not in (None, "", [], {})}
    return {clean(key): value[:PARAM_LENGTH] for key, value in text.items()}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _stages(record: RunRecord, started: int) -> list[Point]:
    """Every metric of the given network and of every stage, and the learning curves with the epoch as their step."""
    points, now = [], float(started)
    for stage in record.networks:
        took = 0.0 if stage.cached else stage.seconds * 1000
        for number, entry in enumerate(stage.curve, start=1):
            when = round(now + took * number / len(stage.curve))
            step = int(entry.get("epoch", number))
            points += [
                Point(clean(f"{stage.name}/{key}"), value, when, step) for key, value in entry.items() if key != "epoch"
            ]
        now += took
        points += [Point(clean(f"{stage.name}/{key}"), value, round(now)) for key, value in stage.metrics.items()]
    return points


def _final(record: RunRecord, ended: int) -> list[Point]:
    """The headline figures of the final stage, and beside those before compression. A failed run has none."""
    if not record.networks or record.status != "finished":
        return []
    final, specs, first = record.final.metrics, record.metric_specs, record.before
    found = {name: final[name] for name in headlines(specs) if name in final}
    if first is not None and first is not record.final:
        before = first.metrics
        if record.primary in before and record.primary in final:
            found[f"{record.primary}_change"] = round(final[record.primary] - before[record.primary], 6)
        names = [spec.name for spec in costs(specs) if before.get(spec.name) and spec.name in final]
        found |= {f"{name}_ratio": round(final[name] / before[name], 6) for name in names}
    return [Point(key, value, ended) for key, value in found.items() if not math.isnan(value)]


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container whose user has no name
        return ""


def _note(record: RunRecord, folder: Path) -> str:
    """Return the text on top of the run's page: what is wrong with it first."""
    first = [f"**Failed:** {record.error}"] if record.error else []
    first += ["**Over budget:** " + "; ".join(record.missed)] if record.missed else []
    first += [f"**Within budget:** {', '.join(_limits(record))}"] if _verdict(record) == "met" else []
    return "\n\n".join(filter(None, [*first, left_out(folder), description(folder)]))


def _verdict(record: RunRecord) -> str:
    """Return what became of the budget; empty without one, or if the run came to no result."""
    if record.missed:
        return "missed"
    return "met" if record.status == "finished" and record.networks and record.plan.get("budget") else ""


def _limits(record: RunRecord) -> list[str]:
    """Return each limit with what the result has: `params 1,030,301 (limit 1,100,000)`."""
    final, before = record.final.metrics, record.before
    found = dict(final)
    if before is not None and record.primary in final and record.primary in before.metrics:
        better = record.metric_specs[record.primary].higher_is_better
        change = before.metrics[record.primary] - final[record.primary]
        found["accuracy_drop"] = change if better else -change
    return [
        f"{key} {plain(found[key])} (limit {plain(limit)})" if key in found else f"{key} (limit {plain(limit)})"
        for key, limit in record.plan["budget"].items()
    ]


def _tags(record: RunRecord, folder: Path) -> dict[str, str]:
    tags = {
        "table": record.table,
        "row": record.row,
        "protocol": record.protocol,
        "primary_metric": record.primary,
        "dataset": str(record.dataset.get("name", "")),
        "dataset_fingerprint": str(record.dataset.get("fingerprint", "")),
        **{tag_of_sweep(sweep): "true" for sweep in record.sweeps},
        "error": record.error,
        "budget": _verdict(record),
        "mlflow.note.content": _note(record, folder),
        "mlflow.user": _user(),
        "mlflow.source.type": "LOCAL",
        "mlflow.source.name": record.recipe,
        "mlflow.source.git.commit": record.environment.get("commit", ""),
        **model_tags(record, folder),
    }
    return {key: value[:TAG_LENGTH] for key, value in tags.items() if value}
