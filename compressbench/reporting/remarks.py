"""Remarks: what has to be said beside the figures: how to run them again, protocols, datasets, misprints."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile

from compressbench.core.record import RunRecord
from compressbench.reporting.compare import Comparison

DATASETS = {
    "cifar10-jpeg": "cifar10-jpeg is CIFAR10 with its pictures re-encoded as JPEG: the same split and labels, visible "
    "artefacts. Networks trained on it reach about 2 to 3 points less than on the original",
}
"""Datasets that are not what their paper used, in words."""

VERDICTS = (
    "reproduced: counts, rounded to the print's digits, equal the print; mean top1 is at least the print minus 0.05 "
    "points. within tolerance: the row's stated tolerance is kept. differs: it is not. A row's verdict is the worst of "
    "its figures; top5 is shown, not judged.",
    "± is the sample standard deviation over seeds; change is top1 after minus before, of each seed and then averaged. "
    "survey FLOPs follow the survey's own convention (three times the count of one image, pooling and ReLU included); "
    "MACs are multiply-adds of one image. params leave out batch norm's; a sparse network is counted by its non-zero "
    "ones. file is the length of the saved weights, 1 kB = 1,000 bytes.",
)


def introduction(comparisons: list[Comparison]) -> list[str]:
    """Return where the published figures come from."""
    sources = dict.fromkeys(c.reference.source for c in comparisons if c.reference.source)
    return [f"Published figures: {'; '.join(sources)}."] if sources else []


def commands(table: str, comparisons: list[Comparison]) -> list[str]:
    """Return command lines that run every row again as it was run, or as the paper did if it was not."""
    rows_of: dict[str, list[str]] = {}
    for comparison in comparisons:
        rows_of.setdefault(_overrides(comparison), []).append(comparison.row)
    if any(comparison.records for comparison in comparisons):
        rows_of.pop("", None)
    everything = {comparison.row for comparison in comparisons}
    prefix = "" if table == "." else f"{table}/"
    lines = [
        f"compressbench run -m {_choice(prefix, rows, everything)}{overrides}" for overrides, rows in rows_of.items()
    ]
    return [*lines, f"compressbench report {table} --format markdown > recipes/{prefix}RESULTS.md"]


def row_notes(comparison: Comparison) -> list[str]:
    """Return the footnotes of one row: misprints, what techniques left out, limits that were broken."""
    notes = [comparison.reference.note.strip()] if comparison.reference.note.strip() else []
    for stage in dict.fromkeys(stage.name for record in comparison.records for stage in record.stages):
        skipped: dict[str, list[str]] = {}
        for record in comparison.records:
            for what, why in next((s.skipped for s in record.stages if s.name == stage), []):
                if what not in skipped.setdefault(why, []):
                    skipped[why].append(what)
        if skipped:
            parts = [f"{', '.join(what)}: {why}" for why, what in skipped.items()]
            notes.append(f"{stage} left out {'; '.join(parts)}.")
    for record in comparison.records:
        notes += [f"Limit missed with seed {record.seed}: {sentence}" for sentence in record.missed]
    return notes


def remarks(comparisons: list[Comparison]) -> list[str]:
    """Return what holds for the whole table: the rules, the protocols, the datasets, where it was run."""
    records = [record for comparison in comparisons for record in comparison.records]
    found = [*VERDICTS, *_protocols(records)]
    others = dict.fromkeys((c.dataset, c.reference.dataset) for c in comparisons if c.records and not c.same_dataset)
    for ours, published in others:
        if not published:
            continue
        text = DATASETS.get(ours, f"{ours} is not the dataset of the paper")
        found.append(
            f"{text}. The paper measured on {published}, so levels are not compared; the change in top1 is compared "
            "with the paper's change."
        )
    prints = sorted({(r.dataset["name"], str(r.dataset.get("fingerprint", ""))[:12]) for r in records})
    if prints:
        found.append("Fingerprints of the data: " + ", ".join(f"{name} {digits}" for name, digits in prints) + ".")
    machines = sorted({", ".join(_machine(record)) for record in records} - {""})
    return [*found, *(f"Run with {machine}." for machine in machines)]


def _overrides(comparison: Comparison) -> str:
    """Return what stands behind the recipe on the command line."""
    if not comparison.records:
        return ""
    words = [f" seed={','.join(map(str, comparison.seeds))}"]
    if not comparison.same_dataset and comparison.reference.dataset:
        words.append(f" dataset={comparison.dataset.replace('-', '_')}")
    if comparison.protocol not in ("paper", "custom"):
        words.append(" debug=smoke" if comparison.protocol == "smoke" else f" training={comparison.protocol}")
    return "".join(words)


def _choice(prefix: str, rows: list[str], everything: set[str]) -> str:
    """Return `recipe=...` for several rows, as a pattern if one matches just these."""
    words = zip(*(row.split("_") for row in rows), strict=False)
    start = "".join(f"{same[0]}_" for same in takewhile(lambda same: len(set(same)) == 1, words))
    if len(rows) > 1 and {row for row in everything if row.startswith(start)} == set(rows):
        return f"'recipe=glob({prefix}{start}*)'"
    return "recipe=" + ",".join(f"{prefix}{row}" for row in rows)


def _protocols(records: list[RunRecord]) -> list[str]:
    """Return a sentence a protocol that says how long was trained."""
    lengths: dict[str, dict[str, set[str]]] = {}
    for record in records:
        lengths.setdefault(record.protocol, {}).setdefault(_length(record), set()).add(record.row)
    meaning = {
        "paper": "the paper's full schedule",
        "reduced": "a shorter schedule instead of the paper's",
        "smoke": "cut to seconds, its accuracies mean nothing",
        "custom": "training was changed by hand",
    }
    sentences = []
    for protocol, rows in lengths.items():
        said = [
            f"{length} ({len(names)} row{'s' if len(names) > 1 else ''})" for length, names in rows.items() if length
        ]
        sentences.append(
            f"{protocol}: {meaning.get(protocol.partition('_')[0], 'its own schedule')}: {'; '.join(said)}."
        )
    return sentences


def _length(record: RunRecord) -> str:
    stages = record.plan.get("stages", {})
    parts = [
        f"{name} {stage['epochs']} epoch{'' if stage['epochs'] == 1 else 's'}"
        + (
            f" in batches of {stage['batch_size']}, {stage['schedule']} from {stage['lr']}"
            if "schedule" in stage
            else ""
        )
        for name, stage in stages.items()
        if "epochs" in stage
    ]
    limits = {name: limit for name, limit in record.plan.get("limits", {}).items() if limit is not None}
    parts += [f"at most {limit} {name}" for name, limit in limits.items()]
    return ", ".join(parts)


def _machine(record: RunRecord) -> Iterable[str]:
    environment = record.environment
    named = {"compressbench": "compressbench {}", "torch": "torch {}", "python": "Python {}"}
    yield from (text.format(environment[key]) for key, text in named.items() if environment.get(key))
    device = environment.get("device", "")
    yield from [device if device != "cpu" else environment.get("processor", "cpu")] if device else []
