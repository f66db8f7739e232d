"""Remarks: what has to be said beside the figures: how to run them again, protocols, datasets, misprints."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile

from compressbench.core.record import RunRecord
from compressbench.reporting import formatting
from compressbench.reporting.comparison import ACCURACIES, FIGURES, Comparison
from compressbench.reporting.footnotes import breakdown_remarks
from compressbench.reporting.handicap import handicap_remarks
from compressbench.reporting.latency import timings
from compressbench.reporting.machines import machines
from compressbench.reporting.spread import Redrawn, spread_remarks

DATASETS = {
    "cifar10-jpeg": "cifar10-jpeg is CIFAR10 with its pictures re-encoded as JPEG: the same split and labels, visible "
    "artefacts",
}
"""Datasets that are not what their paper used, in words."""

READING = (
    "reproduced: counts, rounded to the print's digits, equal the print (a misprint's correction, where a note gives "
    "one); mean top1 is at least the print minus 0.05 points, on another dataset than the paper's the change in top1 "
    "is. above: a figure is better than the print by more than its tolerance, top1 also by more than 0.05 points; that "
    "reproduces nothing and counts against nothing. within tolerance: the row's tolerance is kept. differs: it is not. "
    "A row's verdict is the worst of its figures, where above comes before reproduced; top5 is shown, not judged.",
    "Of a sparse network's non-zero parameters, and of bytes, fewer are better, as long as top1 does not differ: "
    "within the tolerance they reproduce the print, beyond it they are above. Every other count has no good side: "
    "fewer are as far off as more. Behind a semicolon: what is above the print though something else is not; and, of "
    "a row judged by the level of top1, the verdict on its change by the same tolerance, where that is another one.",
    "± is the sample standard deviation over seeds; change is top1 after minus before, of each seed and then averaged. "
    "survey FLOPs follow the survey's own convention (three times the count of one image, pooling and ReLU included); "
    "MACs are multiply-adds of one image; both count the zeros of a sparse network. params leave out batch norm's; of "
    "a sparse network they are the non-zero ones. file is the length of the packed file, everything in it included, "
    "1 kB = 1,000 bytes; smaller: the parameters of the network before compression at 4 bytes each, over that length.",
)

OF_LATENCY = (
    "ms a batch: the median time of a batch on one thread of the processor. times as fast as dense: the time of the "
    "network before compression in the same runtime over it, the median of rounds in which both take turns; quartiles "
    "apart: from the lower to the upper quartile of these ratios."
)

PROTOCOLS = {
    "steps_160": "160 epochs in steps in batches of 128, fine-tuning 40: the schedules of Liu et al. 2017 and Li et "
    "al. 2017 mixed, no paper's own",
    "survey": "the survey's own schedule as far as the public code tells: all training images, the last epoch",
    "survey_best": "the survey's own schedule as far as the public code tells, but the epoch that is best on held-out "
    "images",
    "reduced": "a shorter schedule instead of the papers'. The network before compression is not trained to its end, "
    "so fine-tuning may make up for some of that, and the change in accuracy look better than after full training",
    "reduced_60": "60 epochs in one cycle instead of the papers' schedules",
    "smoke": "cut to seconds, its accuracies mean nothing",
    "custom": "a schedule that is no protocol's: the recipe's own, or one changed on the command line, which no "
    "command above repeats",
}


def introduction(comparisons: list[Comparison]) -> list[str]:
    """Return where the published figures come from."""
    sources = dict.fromkeys(c.reference.source for c in comparisons if c.reference.source)
    return [f"Published figures: {'; '.join(sources)}."] if sources else []


def commands(table: str, comparisons: list[Comparison]) -> list[str]:
    """Return command lines that run every row again as it was run, or by its default schedule if none was.

    Of training changed by hand the record knows the outcome, not the words, so such runs have no line.
    """
    rows_of: dict[str, list[str]] = {}
    anything = any(comparison.records for comparison in comparisons)
    for comparison in comparisons:
        if not comparison.by_hand and bool(comparison.records) == anything:
            rows_of.setdefault(_overrides(comparison), []).append(comparison.row)
    everything = {comparison.row for comparison in comparisons}
    prefix = "" if table == "." else f"{table}/"
    lines = [
        f"compressbench run -m {_choice(prefix, rows, everything)}{overrides}" for overrides, rows in rows_of.items()
    ]
    return [*lines, f"compressbench report {table} --format markdown > recipes/{prefix}RESULTS.md"]


def remarks(comparisons: list[Comparison], drawn_again: Iterable[Redrawn] = ()) -> list[str]:
    """Return what holds for the whole table: the rules, the protocols, the datasets, where it was run.

    drawn_again: as `spread.redrawn` returns it.
    """
    records = [record for comparison in comparisons for record in comparison.records]
    found = [*READING, *_tolerances(comparisons), *_protocols(records)]
    if any(timings(comparison.after) for comparison in comparisons):
        found.append(OF_LATENCY)
    others = dict.fromkeys((c.dataset, c.reference.dataset) for c in comparisons if c.records and not c.same_dataset)
    for ours, published in others:
        if not published:
            continue
        text = DATASETS.get(ours, f"{ours} is not the dataset of the paper")
        found.append(
            f"{text}. The paper measured on {published}, so levels are not compared; the change in top1 is compared "
            "with the paper's change."
        )
    found += [
        *handicap_remarks(comparisons),
        *spread_remarks(comparisons, drawn_again),
        *breakdown_remarks(comparisons),
    ]
    weights = sorted({str(given) for r in records if (given := r.plan.get("model", {}).get("weights"))})
    if weights:
        found.append(f"Trained weights that the runs were given: {', '.join(weights)}.")
    prints = sorted({(r.dataset["name"], str(r.dataset.get("fingerprint", ""))[:12]) for r in records})
    if prints:
        found.append("Fingerprints of the data: " + ", ".join(f"{name} {digits}" for name, digits in prints) + ".")
    return [*found, *(f"Run with {machine}." for machine in machines(records))]


def _overrides(comparison: Comparison) -> str:
    """Return what stands behind the recipe on the command line."""
    if not comparison.records:
        return ""
    words = [f" seed={','.join(map(str, comparison.seeds))}"]
    if not comparison.same_dataset and comparison.reference.dataset:
        words.append(f" dataset={comparison.dataset.replace('-', '_')} dataset.root=FOLDER")
    if comparison.protocol not in ("custom", ""):
        words.append(f" training={comparison.protocol}")
    return "".join(words)


def _choice(prefix: str, rows: list[str], everything: set[str]) -> str:
    """Return `recipe=...` for several rows, as a pattern if one matches just these."""
    words = zip(*(row.split("_") for row in rows), strict=False)
    start = "".join(f"{same[0]}_" for same in takewhile(lambda same: len(set(same)) == 1, words))
    if len(rows) > 1 and {row for row in everything if row.startswith(start)} == set(rows):
        return f"'recipe=glob({prefix}{start}*)'"
    return "recipe=" + ",".join(f"{prefix}{row}" for row in rows)


def _tolerances(comparisons: list[Comparison]) -> list[str]:
    """Return a sentence that says how many rows allow what."""
    rows: dict[str, set[str]] = {}
    for comparison in comparisons:
        for name, value in comparison.reference.tolerance.items():
            allowed = formatting.points(value).lstrip("+") + " points" if name in ACCURACIES else f"{value * 100:g} %"
            rows.setdefault(f"{FIGURES[name]} {allowed}", set()).add(comparison.row)
    said = [f"{allowed} ({_rows(names)})" for allowed, names in rows.items()]
    return [f"Tolerances: {', '.join(said)}."] if said else []


def _protocols(records: list[RunRecord]) -> list[str]:
    """Return a sentence a protocol that says how long was trained."""
    lengths: dict[str, dict[str, set[str]]] = {}
    for record in records:
        lengths.setdefault(record.protocol, {}).setdefault(_length(record), set()).add(record.row)
    sentences = []
    for protocol, rows in lengths.items():
        meaning = PROTOCOLS.get(protocol) or PROTOCOLS.get(protocol.partition("_")[0], "its own schedule")
        said = [f"{length} ({_rows(names)})" for length, names in rows.items() if length]
        label = f"{protocol}: {meaning}. " if protocol else ""
        sentences.append(f"{label}Run: {'; '.join(said) or 'no training'}.")
    return sentences


def _length(record: RunRecord) -> str:
    """Return how long each stage was trained: the epochs of its curve, which are those that were really run."""
    parts = []
    for stage in record.stages:
        given = record.plan.get("stages", {}).get(stage.name, {}).get("training", {})
        if stage.curve:
            epochs = f"{stage.curve[-1].get('epoch', len(stage.curve)):g}"
            words = f"{stage.name} {epochs} epoch{'' if epochs == '1' else 's'}"
            settings = ("in batches of {batch_size}", "{schedule} schedule", "lr {lr:g}")
            parts.append(" ".join([words, ", ".join(settings).format_map(given)]) if "schedule" in given else words)
    limits = {name: limit for name, limit in record.plan.get("limits", {}).items() if limit is not None}
    parts += [f"at most {limit} {name}" for name, limit in limits.items()]
    return "; ".join(parts)


def _rows(names: set[str]) -> str:
    return f"{len(names)} row{'' if len(names) == 1 else 's'}"
