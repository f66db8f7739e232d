"""Gather: the records of a table, from this machine's runs and from those committed beside its recipes."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path, PureWindowsPath
from typing import Any

from compressbench.core.atomic import write_atomically
from compressbench.core.faults import PlanError
from compressbench.core.record import RunRecord, StageRecord

CURVE_POINTS = 20
"""A committed curve keeps at most so many epochs."""


def gather(
    table: str, outputs: Path, recipe_folders: Iterable[Path], unreadable: list[str] | None = None
) -> list[RunRecord]:
    """Return the table's records below `outputs/runs` and in `<recipes>/<table>/records`.

    Of those with the same plan and seed the newest is kept. A file that holds no record is added to
    `unreadable` as a sentence; without that list it is a warning.
    """
    paths = sorted((outputs / "runs").joinpath(*_parts(table)).rglob("record.json"))
    for folder in recipe_folders:
        paths += sorted(folder.joinpath(*_parts(table), "records").glob("*.json"))
    newest: dict[tuple[str, int], RunRecord] = {}
    for path in paths:
        try:
            record = RunRecord.read(path)
        except (ValueError, OSError) as error:
            sentence = f"left out, not readable: {error}"
            if unreadable is None:
                warnings.warn(sentence, stacklevel=2)
            else:
                unreadable.append(sentence)
            continue
        key = (record.plan_id, record.seed)
        if record.table == table and (key not in newest or newest[key].started <= record.started):
            newest[key] = record
    return sorted(newest.values(), key=lambda record: (record.row, record.dataset["name"], record.seed))


def commit_records(records: Iterable[RunRecord], folder: Path) -> list[Path]:
    """Write records small enough to commit, as `<row>-<dataset>-<protocol>-seed<k>.json`; return the paths.

    Left out: the table of layers, tensors stored as they are, most points of the curves, and whatever names the
    machine's folders. PlanError if `folder` is a file.
    """
    if folder.is_file():
        raise PlanError.of("commit", f"{folder} is a file; allowed: a folder, existing or new")
    written = []
    for record in records:
        name = f"{record.row}-{record.dataset['name']}-{record.protocol}-seed{record.seed}.json"
        path = folder / name.replace("/", "_")
        write_atomically(path, _one_line_a_key(asdict(_small(record))))
        written.append(path)
    return written


def _parts(table: str) -> tuple[str, ...]:
    return tuple(part for part in table.split("/") if part not in ("", "."))


def _small(record: RunRecord) -> RunRecord:
    return replace(
        record,
        layers=[],
        tensors=[row for row in record.tensors if row["coder"]],
        stages=[_small_stage(stage) for stage in record.stages],
        given=record.given and _small_stage(record.given),
        environment=_without_paths(record.environment),
        plan=_portable(record.plan),
        dataset=_without_paths(record.dataset),
        seconds=round(record.seconds, 1),
    )


def _portable(plan: dict[str, Any]) -> dict[str, Any]:
    """Return a plan without the machine's folders; of a file of given weights the name stays."""
    model = dict(plan.get("model", {}))
    if _is_path(model.get("weights")):
        model["weights"] = PureWindowsPath(model["weights"]).name
    return _without_paths({**plan, "model": model} if model else plan)  # type: ignore[no-any-return]


def _small_stage(stage: StageRecord) -> StageRecord:
    step = max(1, -(-len(stage.curve) // CURVE_POINTS))  # rounded up
    kept = stage.curve[::-1][::step][::-1]  # counted from the end, so that the last epoch stays
    curve = [{name: float(f"{value:.5g}") for name, value in point.items()} for point in kept]
    return replace(stage, curve=curve, seconds=round(stage.seconds, 1))


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
