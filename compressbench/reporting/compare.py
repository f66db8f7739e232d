"""Compare: the rows of a table, ours (mean, spread, number of seeds) beside the published figures.

What is held against what is in `judging.py`, the rules of the verdicts in `verdict.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import repeat
from typing import Any

from compressbench.core.budget import Reference
from compressbench.core.record import RunRecord
from compressbench.core.specs import primary_of, scores, specs_of
from compressbench.core.structure import changed, flatten, is_structural, structure
from compressbench.reporting.comparison import Comparison, Handicap
from compressbench.reporting.formatting import Estimate, estimate
from compressbench.reporting.judging import judged
from compressbench.reporting.schedule import schedule_before

BESIDE = ("summary", "plan", "metric_specs", "primary")
"""What stands beside the published figures in what `compare` is told of a row."""
CUSTOM = "custom"
"""The label of training that keeps to no protocol."""


def compare(
    records: Iterable[RunRecord], references: dict[str, dict[str, Any]], handicaps: Sequence[Handicap] = ()
) -> tuple[list[Comparison], list[str]]:
    """Return the comparisons in the order of `references`, and a sentence for every record that was left out.

    references: by row, the row's reference with `summary` (what the row is) and, if known, `plan` (the recipe as
    it stands, `Plan.as_dict()`), its `metric_specs` and `primary` metric, added. Left out: failed and smoke runs, runs
    whose pruning or network was changed on the command line, and runs that were trained unlike the newest of their
    row, dataset and protocol (the schedule behind a protocol's name was another then). Of runs that differ in nothing
    the newest counts for its seed.
    """
    usable, sentences = [], []
    for record in records:
        reason = _reason_to_leave_out(record, references.get(record.row, {}).get("plan"))
        if reason:
            sentences.append(f"{record.row}, seed {record.seed}: left out, {reason}")
        else:
            usable.append(record)
    found = []
    for row in dict.fromkeys([*references, *(record.row for record in usable)]):
        mine = [record for record in usable if record.row == row]
        given = references.get(row) or (mine[0].reference if mine else {})
        reference = Reference.of({key: value for key, value in given.items() if key not in BESIDE})
        specs = {**given.get("metric_specs", {}), **specs_of(mine or usable)}
        blank = Comparison(row, given.get("summary", ""), reference, specs=specs)
        blank = replace(blank, primary=given.get("primary") or primary_of(mine or usable))
        groups: dict[tuple[str, str], dict[int, RunRecord]] = {}
        newest: dict[tuple[str, str], dict[str, Any]] = {}
        for record in sorted(mine, key=lambda record: record.started, reverse=True):
            key = record.dataset["name"], record.protocol
            setting = _setting(record)
            other = ", ".join(changed(setting, newest.setdefault(key, setting)))
            if other:
                older = f"left out, newer runs under {record.protocol} were trained otherwise: {other}"
                sentences.append(f"{row}, seed {record.seed}: {older}")
            else:
                groups.setdefault(key, {}).setdefault(record.seed, record)
        for key in sorted(groups, key=lambda key: (key[0] != reference.dataset, *key)):
            made = _comparison(blank, key, groups[key], handicaps)
            found.append(replace(made, by_hand=any(map(_by_hand, made.records, repeat(given.get("plan"))))))
        if not groups:
            found.append(blank)
    return found, sentences


def _comparison(
    blank: Comparison, key: tuple[str, str], by_seed: dict[int, RunRecord], handicaps: Sequence[Handicap]
) -> Comparison:
    """Return a row with what was measured. key: the dataset and the protocol."""
    records = tuple(by_seed[seed] for seed in sorted(by_seed))
    pairs = [(record.before, record.final) for record in records]
    before = _estimates([stage.metrics for stage, _ in pairs if stage])
    after = _estimates([stage.metrics for _, stage in pairs])
    compared = [spec.name for spec in scores(blank.specs)]
    change = _estimates(
        [
            {name: last.metrics[name] - first.metrics[name] for name in compared if name in last.metrics}
            for first, last in pairs
            if first is not None and first is not last
        ]
    )
    found = replace(blank, dataset=key[0], protocol=key[1], records=records, before=before, after=after, change=change)
    if found.reference.handicap and not found.same_dataset:
        found = replace(found, handicap=_handicap(found, handicaps))
    return judged(found)


def _handicap(ours: Comparison, handicaps: Sequence[Handicap]) -> Handicap | None:
    """Return the handicap measured by the row that the reference names, on the same data, with a network that was
    trained alike before anything was compressed."""
    wanted = ours.reference.handicap, ours.dataset, schedule_before(ours.records[0])
    return next((made for made in handicaps if (made.row, made.dataset, made.schedule) == wanted), None)


def _estimates(measured: list[dict[str, float]]) -> dict[str, Estimate]:
    names = dict.fromkeys(name for values in measured for name in values)
    found = {name: estimate([values[name] for values in measured if name in values]) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def _reason_to_leave_out(record: RunRecord, plan: dict[str, Any] | None) -> str:
    if record.status != "finished" or not record.networks:
        return f"{record.status}: {record.error}" if record.error else f"it is {record.status}"
    if record.protocol == "smoke":
        return "a smoke run"
    if plan:
        names = ", ".join(changed(structure(record.plan), structure(plan)))
    else:
        names = ", ".join(key for key in record.swept if key.startswith(("stages.", "model")) and is_structural(key))
    return f"its settings are not the row's: {names}" if names else ""


def _setting(record: RunRecord) -> dict[str, Any]:
    """Return what the runs behind one mean have to share beside what makes the row: training, limits and the data."""
    flat = flatten({part: record.plan.get(part, {}) for part in ("stages", "limits", "dataset")})
    setting = {key: value for key, value in flat.items() if not key.startswith("stages.") or not is_structural(key)}
    given = {"model.weights": record.plan.get("model", {}).get("weights")}
    return setting | given | {"dataset.fingerprint": record.dataset.get("fingerprint", "")}


def _by_hand(record: RunRecord, plan: dict[str, Any] | None) -> bool:
    """Return whether the command line changed how long or how something was trained. plan: the recipe as it stands."""
    if record.protocol != CUSTOM:
        return False
    ours, recipe = (
        flatten({part: tree.get(part, {}) for part in ("stages", "limits")}) for tree in (record.plan, plan or {})
    )
    return not plan or bool(changed(ours, recipe))
