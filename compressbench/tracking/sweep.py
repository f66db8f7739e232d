"""The summary of a sweep: one MLflow run that carries the curve its points form.

The points themselves are ordinary runs with a tag `sweep_ID`: MLflow collapses nested children and charts only
their parent. MLflow's steps are whole numbers, so a fraction becomes a step by the smallest power of ten that
makes every swept value whole (0.1, 0.3: steps 10, 30 would do, and percent reads best, so never below 100);
the name of the group of charts says so: `curve over ratio x 100`. What cannot be put on an axis (several keys, or
words) is counted: `curve over point`.
"""

from __future__ import annotations

import json
import statistics
import warnings
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

from compressbench.core.identity import digest
from compressbench.core.record import RunRecord
from compressbench.core.specs import headlines, primary_of, specs_of
from compressbench.core.sweep import NAME, SweepRecord, shortened
from compressbench.tracking import journal
from compressbench.tracking.content import (
    TAG_LENGTH,
    Content,
    Point,
    clean,
    experiment_of,
    tag_of_sweep,
    times,
)
from compressbench.tracking.files import description, tables_and_plots
from compressbench.tracking.send import deliver, guarded
from compressbench.tracking.store import Store
from compressbench.tracking.view import columns_of, key_of_sweep, view

POWERS = (1, 100, 1000, 10_000, 100_000, 1_000_000)


@dataclass(frozen=True)
class Axis:
    """What the curve is drawn over. key: the swept key, `point` if there is no single numeric one.
    scale: swept value times scale = step."""

    key: str
    scale: int = 1

    @property
    def group(self) -> str:
        name = clean(self.key.rpartition(".")[2])
        return f"curve over {name}" if self.scale == 1 else f"curve over {name} x {self.scale}"


def send_sweep(sweep_id: str, records: list[RunRecord], store: Store, folder: Path) -> str | None:
    """Write the summary run of a sweep and return its id; None, after one line on stderr, if the store is down.

    folder: keeps the sweep's own files (`outputs/sweeps/<sweep_id>`): the note of its runs, tables, plots, README.md.
    records: those of the note, as points of this sweep alone. A sweep that has grown since (it was resumed)
    replaces its earlier summary. ValueError without any record.
    """
    if not records:
        raise ValueError(f"the sweep {sweep_id} has no runs")
    journal.intend(folder, store.name)
    return guarded(f"sweep {sweep_id}", lambda: deliver_sweep(sweep_id, records, store, folder), store)


def deliver_sweep(sweep_id: str, records: list[RunRecord], store: Store, folder: Path) -> str:
    """As `send_sweep`, but raises what went wrong."""
    wanted = _digest(sweep_id, records)
    return deliver(lambda: summary(sweep_id, records, folder, wanted), wanted, folder, store)


def pending_sweeps(outputs: Path, uri: str | None, otherwise: str = "") -> list[tuple[str, Path]]:
    """Return the `sweep.json` of every sweep whose summary a store lacks, and which (see `journal.target`)."""
    missing = []
    for path in sorted((outputs / "sweeps").glob(f"*/{NAME}")):
        sweep_id, records = _runs(path, outputs)
        lacking = journal.target(path.parent, _digest(sweep_id, records), uri, otherwise) if records else None
        if lacking is not None:
            missing.append((lacking, path))
    return missing


def resend_sweep(path: Path, outputs: Path, store: Store) -> str:
    """Send the summary of the sweep listed in the file at `path`."""
    return deliver_sweep(*_runs(path, outputs), store, path.parent)


def _runs(path: Path, outputs: Path) -> tuple[str, list[RunRecord]]:
    try:
        found = SweepRecord.read(path)
        return found.sweep, found.records(outputs)
    except (OSError, ValueError) as error:
        what = f"the sweep in {path.parent} is left out ({error}); the same command makes it again"
        warnings.warn(what, stacklevel=2)
        return "", []


def _digest(sweep_id: str, records: list[RunRecord]) -> str:
    return digest([sweep_id, [journal.content_of(record) for record in records]])


def axis_of(records: list[RunRecord]) -> Axis:
    """Return what the curve is drawn over: the one key that varies beside the seed, if it is a number."""
    keys = list(dict.fromkeys(key for record in records for key in record.swept if key != "seed"))
    varying = [key for key in keys if len({record.swept.get(key) for record in records}) > 1] or keys
    if len(varying) != 1:
        return Axis("point")
    try:
        values = [Decimal(record.swept[varying[0]]) for record in records]
    except (InvalidOperation, KeyError):
        return Axis("point")
    for scale in POWERS:
        if all(value.is_finite() and value * scale == int(value * scale) for value in values):
            return Axis(varying[0], scale)
    return Axis("point")


def points_of(records: list[RunRecord], axis: Axis) -> list[tuple[int, dict[str, float]]]:
    """Return (step, figures of the final stage), the mean over seeds, by step. Failed runs are out."""
    seen: dict[str, int] = {}
    told = headlines(specs_of(records))
    steps: dict[int, list[dict[str, float]]] = {}
    for record in records:
        others = json.dumps({key: value for key, value in record.swept.items() if key != "seed"})
        place = seen.setdefault(others, len(seen) + 1)
        step = place if axis.key == "point" else int(Decimal(record.swept[axis.key]) * axis.scale)
        if record.status == "finished" and record.networks:
            steps.setdefault(step, []).append(record.final.metrics)
    return [
        (step, {key: statistics.fmean(one[key] for one in many if key in one) for key in told if key in many[0]})
        for step, many in sorted(steps.items())
    ]


def summary(sweep_id: str, records: list[RunRecord], folder: Path, wanted: str) -> Content:
    """Return what MLflow is told about the sweep, with the tables and plots that lie in `folder`."""
    first, axis = records[0], axis_of(records)
    ended = max(times(record)[1] for record in records)
    points = points_of(records, axis)
    metrics = [
        Point(f"{axis.group}/{key}", value, ended, step) for step, figures in points for key, value in figures.items()
    ]
    swept = {key: _values(records, key) for record in records for key in record.swept}
    over = ", ".join(shortened([key for key, values in swept.items() if ", " in values])) or "one point"
    name = f"sweep of {first.row} over {over}"
    search, keys = f"tags.{tag_of_sweep(sweep_id)} = 'true'", tuple(clean(key) for key in swept if key != "recipe")
    columns = columns_of(specs_of(records), primary_of(records))
    return Content(
        experiment=experiment_of(first.table, first.row),
        name=name,
        identity=("summary_of_sweep", sweep_id),
        digest=wanted,
        params={"protocol": first.protocol, "sweep.keys": ", ".join(swept), "sweep.points": str(len(records))}
        | {clean(f"sweep.{key}"): values for key, values in swept.items()},
        metrics=metrics,
        tags={
            "table": first.table,
            "row": first.row,
            "protocol": first.protocol,
            "sweep": sweep_id,
            tag_of_sweep(sweep_id): "true",
            "mlflow.source.type": "LOCAL",
            "mlflow.source.name": first.recipe,
            "mlflow.note.content": _note(sweep_id, axis, folder)[:TAG_LENGTH],
        },
        files=tables_and_plots(folder),
        started=ended,  # the newest of the list: MLflow charts only the first ten
        ended=ended,
        status="FAILED" if all(record.status != "finished" for record in records) else "FINISHED",
        dataset=first.dataset,
        views={key_of_sweep(sweep_id): view(name, columns, search, keys)},
        columns=columns,
    )


def _values(records: list[RunRecord], key: str) -> str:
    return ", ".join(dict.fromkeys(record.swept[key] for record in records if key in record.swept))


def _note(sweep_id: str, axis: Axis, folder: Path) -> str:
    meaning = f"step = {axis.key}" + (f" x {axis.scale}" if axis.scale > 1 else "")
    words = f"Sweep `{sweep_id}`: the charts under *{axis.group}* are its curve ({meaning}; mean over seeds)."
    return f"{words}\n\n{description(folder)}"
