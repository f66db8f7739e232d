"""Compare: the rows of a table, ours (mean, spread, number of seeds) beside the published figures.

The rules of the verdicts are in `verdict.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from itertools import repeat
from typing import Any

from compressbench.core.plan import Reference
from compressbench.core.record import RunRecord
from compressbench.core.structure import changed, flatten, is_structural, structure
from compressbench.reporting import verdict as rules
from compressbench.reporting.figures import Estimate, estimate

ACCURACIES = ("top1", "top5")
COUNTS = ("params", "macs", "flops_survey")
CHANGE = "top1_change"
FIGURES = {"params": "params", "macs": "MACs", "flops_survey": "survey FLOPs", "top1": "top1", CHANGE: "change in top1"}
FIGURES["size_bytes"] = "file"
"""What a verdict can be about, in words."""

CUSTOM = "custom"
"""The label of training that keeps to no protocol."""

SPARSE = 0.99
"""A network with fewer non-zero parameters than this share is a sparse one: its non-zero parameters are compared."""


@dataclass(frozen=True)
class Comparison:
    """One row of a table on one dataset under one protocol; without records it was not run.

    before, after: means over seeds by measure, before compression and of the final stage. change: after minus
    before, of each seed, then averaged. verdicts: by measure; `top1_change` where levels cannot be compared.
    by_hand: the training is no protocol's, nor the recipe's own: the command line changed it.
    """

    row: str
    summary: str
    reference: Reference
    dataset: str = ""
    protocol: str = ""
    records: tuple[RunRecord, ...] = ()
    before: dict[str, Estimate] = field(default_factory=dict)
    after: dict[str, Estimate] = field(default_factory=dict)
    change: dict[str, Estimate] = field(default_factory=dict)
    verdicts: dict[str, str] = field(default_factory=dict)
    by_hand: bool = False

    @property
    def verdict(self) -> str:
        return rules.worst(self.verdicts.values()) if self.records else rules.NOT_RUN

    @property
    def judgement(self) -> str:
        """The verdict and what it rests on: the figures that are not the print's, or what could be compared at all."""
        behind = [FIGURES[name] for name, found in self.verdicts.items() if found == self.verdict]
        if self.verdict in (rules.WITHIN, rules.DIFFERS, rules.BETTER):
            return f"{self.verdict}: {', '.join(behind)}"
        if self.verdict == rules.REPRODUCED and not self.same_dataset:
            return f"{self.verdict} ({'change' if CHANGE in self.verdicts else 'counts only'})"
        return self.verdict

    @property
    def same_dataset(self) -> bool:
        """Whether accuracies may be compared with the published ones themselves."""
        return self.dataset.lower() == self.reference.dataset.lower()

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(record.seed for record in self.records)

    @property
    def times_smaller(self) -> float | None:
        """The trained network's parameters at 4 bytes each, over the mean length of the final file."""
        params, size = self.before.get("params", self.after.get("params")), self.after.get("size_bytes")
        return 4 * params.mean / size.mean if params and size and size.mean else None

    @property
    def published_times_smaller(self) -> float | None:
        before, after = self.reference.before.get("size_bytes"), self.reference.size_bytes
        return before / after if before and after else None

    def published_change(self, measure: str) -> float | None:
        """Return after minus before as published; None if one of the two is not, or the row changes nothing."""
        published = self.reference
        after, before = getattr(published, measure), published.before.get(measure)
        unchanged = after == before and published.params == published.before.get("params")
        return None if after is None or before is None or unchanged else after - before


def compare(records: Iterable[RunRecord], references: dict[str, dict[str, Any]]) -> tuple[list[Comparison], list[str]]:
    """Return the comparisons in the order of `references`, and a sentence for every record that was left out.

    references: by row, the row's reference with `summary` (what the row is) and, if known, `plan` (the recipe as
    it stands, `Plan.as_dict()`), added. Left out: failed and smoke runs, runs whose pruning or network was changed on
    the command line, and runs that were trained unlike the newest of their row, dataset and protocol (the schedule
    behind a protocol's name was another then). Of runs that differ in nothing the newest counts for its seed.
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
        reference = Reference(**{f.name: given[f.name] for f in fields(Reference) if f.name in given})
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
        summary = given.get("summary", "")
        for key in sorted(groups, key=lambda key: (key[0] != reference.dataset, *key)):
            made = _comparison(row, summary, reference, key, groups[key])
            found.append(replace(made, by_hand=any(map(_by_hand, made.records, repeat(given.get("plan"))))))
        if not groups:
            found.append(Comparison(row, summary, reference))
    return found, sentences


def _comparison(
    row: str, summary: str, reference: Reference, key: tuple[str, str], by_seed: dict[int, RunRecord]
) -> Comparison:
    records = tuple(by_seed[seed] for seed in sorted(by_seed))
    pairs = [(record.before, record.final) for record in records]
    before = _estimates([stage.measurements for stage, _ in pairs if stage])
    after = _estimates([stage.measurements for _, stage in pairs])
    change = _estimates(
        [
            {
                name: last.measurements[name] - first.measurements[name]
                for name in ACCURACIES
                if name in last.measurements
            }
            for first, last in pairs
            if first is not None and first is not last
        ]
    )
    bare = Comparison(row, summary, reference, *key, records=records, before=before, after=after, change=change)
    return Comparison(**(vars(bare) | {"verdicts": _verdicts(bare)}))


def _verdicts(ours: Comparison) -> dict[str, str]:
    reference, found = ours.reference, {}
    for name in COUNTS:
        published, value = getattr(reference, name), counted(ours.after, name)
        if published is not None and value is not None:
            right = reference.corrected.get(name, published)
            found[name] = rules.count_verdict(value.mean, right, reference.tolerance.get(name, 0.0))
    if reference.size_bytes is not None and "size_bytes" in ours.after:
        allowed = reference.tolerance.get("size_bytes", 0.0)
        found["size_bytes"] = rules.size_verdict(ours.after["size_bytes"].mean, reference.size_bytes, allowed)
    tolerance, change = reference.tolerance.get("top1", 0.0), ours.published_change("top1")
    if ours.same_dataset and reference.top1 is not None and "top1" in ours.after:
        found["top1"] = rules.accuracy_verdict(ours.after["top1"].mean, reference.top1, tolerance)
    elif not ours.same_dataset and change is not None and "top1" in ours.change:
        found[CHANGE] = rules.accuracy_verdict(ours.change["top1"].mean, change, tolerance)
    return found


def counted(measured: dict[str, Estimate], name: str) -> Estimate | None:
    """Return the count that a paper prints as `name`: parameters without batch norm's, of a sparse network the
    non-zero ones; MACs and survey FLOPs as they are."""
    if name != "params":
        return measured.get(name)
    dense = measured.get("params_without_bn", measured.get("params"))
    nonzero = measured.get("params_without_bn_nonzero", measured.get("params_nonzero"))
    sparse = dense is not None and nonzero is not None and nonzero.mean < SPARSE * dense.mean
    return nonzero if sparse else dense


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
