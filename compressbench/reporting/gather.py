"""Gather: the records of a table, from this machine's runs and from those committed beside its recipes."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PureWindowsPath
from typing import Any

from compressbench.core.atomic import write_atomically
from compressbench.core.errors import PlanError
from compressbench.core.record import RunRecord, StageRecord

CURVE_POINTS = 20
"""A committed curve keeps at most so many epochs."""


def gather(
    table: str, outputs: Path, recipe_folders: Iterable[Path], unreadable: list[str] | None = None
) -> list[RunRecord]:
    """Return the table's records below `outputs/runs` and in `<recipes>/<table>/records`.

    Of those of the same run the newest is kept: the same plan, or plans that differ only in what another machine chose
    for `precision: auto`. A file that holds no record is added to
    `unreadable` as a sentence; without that list it is a warning.
    """
    paths = sorted((outputs / "runs").joinpath(*_parts(table)).rglob("record.json"))
    for folder in recipe_folders:
        paths += sorted(folder.joinpath(*_parts(table), "records").glob("*.json"))
    found = [record for record in _read(paths, unreadable) if record.table == table]
    found.sort(key=lambda record: record.started)
    newest: list[RunRecord] = []
    for record in reversed(found):  # of equally old ones the committed one
        if not any(_same_run(record, newer) for newer in newest):
            newest.append(record)
    return sorted(newest, key=lambda record: (record.row, record.dataset["name"], record.seed, record.plan_id))


def committed(recipe_folders: Iterable[Path], unreadable: list[str] | None = None) -> list[RunRecord]:
    """Return the records of all tables that lie beside their recipes. unreadable: as `gather` takes it."""
    paths = [path for folder in recipe_folders for path in sorted(folder.rglob("records/*.json"))]
    return _read(paths, unreadable)


def _read(paths: Iterable[Path], unreadable: list[str] | None) -> list[RunRecord]:
    found = []
    for path in paths:
        try:
            found.append(RunRecord.read(path))
        except (ValueError, OSError) as error:
            sentence = f"left out, not readable: {error}"
            if unreadable is None:
                warnings.warn(sentence, stacklevel=3)
            else:
                unreadable.append(sentence)
    return found


def commit_records(records: Iterable[RunRecord], folder: Path) -> list[Path]:
    """Write records small enough to commit, as `<row>-<dataset>-<protocol>-seed<k>.json`; return the paths.

    Left out: layers that do not multiply, tensors stored as they are, most points of the curves, what stages were
    computed in where it is the run's own, and whatever names the machine's folders. PlanError if `folder` is a file.
    """
    if folder.is_file():
        raise PlanError.of("commit", f"{folder} is a file; allowed: a folder, existing or new")
    written = []
    for record in records:
        parts = (record.row, record.dataset["name"], record.protocol, f"seed{record.seed}.json")
        path = folder / "-".join(part for part in parts if part).replace("/", "_")
        write_atomically(path, _one_line_a_key(_small(record).as_dict()))
        written.append(path)
    return written


def _same_run(one: RunRecord, other: RunRecord) -> bool:
    if one.seed != other.seed or one.row != other.row:
        return False
    return one.plan_id == other.plan_id or _settings(one) == _settings(other)


def _settings(record: RunRecord) -> dict[str, Any]:
    """Return what was asked for, without what only judges the result."""
    plan = {key: value for key, value in _portable(record.plan).items() if key not in ("budget", "metrics", "protocol")}
    return {**plan, "fingerprint": record.dataset.get("fingerprint")}


def _parts(table: str) -> tuple[str, ...]:
    return tuple(part for part in table.split("/") if part not in ("", "."))


def _small(record: RunRecord) -> RunRecord:
    measured = {name for network in record.networks for name in network.metrics}
    return replace(
        record,
        metric_specs={name: spec for name, spec in record.metric_specs.items() if name in measured},
        layers=[_small_layer(row) for row in record.layers if row["macs"]],
        tensors=[row for row in record.tensors if row["coder"]],
        stages=[_small_stage(stage, record.environment) for stage in record.stages],
        given=record.given and _small_stage(record.given, record.environment),
        environment=_without_paths(record.environment),
        plan=_portable(record.plan),
        dataset=_without_paths(record.dataset),
        seconds=round(record.seconds, 1),
    )


def _portable(plan: dict[str, Any]) -> dict[str, Any]:
    """Return a plan without the machine's folders; of a file of given weights the name stays."""
    model = dict(plan.get("model", {}))
    weights: Any = model.get("weights")
    if isinstance(weights, dict):
        model["weights"] = {**weights, "file": PureWindowsPath(weights["file"]).name}
    elif _is_path(weights):
        model["weights"] = PureWindowsPath(weights).name
    return _without_paths({**plan, "model": model} if model else plan)  # type: ignore[no-any-return]


def _small_layer(row: dict[str, Any]) -> dict[str, Any]:
    """Return a layer's size: `outputs` are its channels or features, which tell what was removed from it."""
    keys = ("name", "kind", "params", "params_nonzero", "macs")
    kept: dict[str, Any] = {key: row[key] for key in keys if key in row}
    return {**kept, "outputs": row["output_shape"][0]} if row.get("output_shape") else kept


def _small_stage(stage: StageRecord, environment: dict[str, str]) -> StageRecord:
    step = max(1, -(-len(stage.curve) // CURVE_POINTS))  # rounded up
    kept = stage.curve[::-1][::step][::-1]  # counted from the end, so that the last epoch stays
    curve = [{name: float(f"{value:.5g}") for name, value in point.items()} for point in kept]
    own = {} if stage.environment == environment else _without_paths(stage.environment)
    return replace(stage, curve=curve, environment=own, seconds=round(stage.seconds, 1))


def _without_paths(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _without_paths(value) for key, value in tree.items() if not _is_path(value)}
    return [_without_paths(value) for value in tree] if isinstance(tree, list) else tree


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and (value.startswith(("/", "~")) or PureWindowsPath(value).is_absolute())


def _one_line_a_key(data: dict[str, Any]) -> str:
    """Return JSON with one line a key and one a stage: small, and a changed figure shows as a changed line."""
    lines = []
    for key, value in data.items():
        text = json.dumps(value)
        if key == "stages":
            text = "[\n  " + ",\n  ".join(json.dumps(stage) for stage in value) + "\n ]"
        lines.append(f' "{key}": {text}')
    return "{\n" + ",\n".join(lines) + "\n}\n"
