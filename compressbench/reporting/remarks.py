"""Remarks: what has to be said beside the figures: how to run them again, protocols, datasets, misprints."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile

from compressbench.core.record import RunRecord
from compressbench.reporting import formatting
from compressbench.reporting.comparison import Comparison
from compressbench.reporting.footnotes import breakdown_remarks
from compressbench.reporting.handicap import handicap_remarks
from compressbench.reporting.machines import machines
from compressbench.reporting.reading import of_tables, reading
from compressbench.reporting.spread import Redrawn, spread_remarks

DATASETS = {
    "cifar10-jpeg": "cifar10-jpeg is CIFAR10 with its pictures re-encoded as JPEG: the same split and labels, visible "
    "artefacts",
}
"""Datasets that are not what their paper used, in words."""

PROTOCOLS = {
    "steps_160": "160 epochs in steps in batches of 128, fine-tuning 40: the schedules of Liu et al. 2017 and Li et "
    "al. 2017 mixed, no paper's own",
    "survey": "the survey's own schedule as far as the public code tells: all training images, the last epoch",
    "survey_best": "the survey's own schedule as far as the public code tells, but the epoch that is best on held-out "
    "images",
    "reduced": "a shorter schedule instead of the papers'. The network before compression is not trained to its end, "
    "so fine-tuning may make up for some of that, and the change in accuracy look better than after full training",
    "reduced_60": "60 epochs in one cycle instead of the papers' schedules",
    "shootout": "the whole training of `reduced`, then one epoch to recover, whatever the method",
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

    Of training changed by hand the record knows the outcome, not the words, so such runs have no line; nor have rows
    that no recipe makes, such as other people's tools.
    """
    rows_of: dict[str, list[str]] = {}
    anything = any(comparison.records for comparison in comparisons)
    for comparison in comparisons:
        ours = all(record.recipe for record in comparison.records) and not comparison.by_hand
        if ours and bool(comparison.records) == anything:
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
    found = [*reading(comparisons), *_tolerances(comparisons), *_protocols(records), *of_tables(comparisons)]
    names = [c.score.heading for c in comparisons]
    others = dict.fromkeys((c.dataset, c.reference.dataset) for c in comparisons if c.records and not c.same_dataset)
    for ours, published in others:
        if not published:
            continue
        text = DATASETS.get(ours, f"{ours} is not the dataset of the paper")
        found.append(
            f"{text}. The paper measured on {published}, so levels are not compared; the change in {names[0]} is "
            "compared with the paper's change."
        )
    found += [
        *handicap_remarks(comparisons),
        *spread_remarks(comparisons, drawn_again),
        *breakdown_remarks(comparisons),
        *_unequal_seeds(comparisons),
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


def _unequal_seeds(comparisons: list[Comparison]) -> list[str]:
    """Return a sentence for all rows of one dataset and protocol that start from networks of different seeds."""
    seeds: dict[tuple[str, str], set[tuple[int, ...]]] = {}
    for each in comparisons:
        if each.records and each.protocol:
            seeds.setdefault((each.dataset, each.protocol), set()).add(tuple(each.seeds))
    uneven = [formatting.listed(*of) for of, found in seeds.items() if len(found) > 1]
    return [
        f"Not all rows of {of} have the same seeds, and so the same networks before compression: of two such rows, "
        "compare the changes, not the levels."
        for of in uneven
    ]


def _tolerances(comparisons: list[Comparison]) -> list[str]:
    """Return a sentence that says how many rows allow what."""
    rows: dict[str, set[str]] = {}
    for comparison in comparisons:
        for name, value in comparison.reference.tolerance.items():
            spec = comparison.specs.get(name)
            absolute = spec is not None and spec.on_data
            text = formatting.difference(spec, value).lstrip("+") if spec and absolute else f"{value * 100:g} %"
            allowed = formatting.in_units(spec, text) if spec and absolute else text
            rows.setdefault(f"{comparison.called(name)} {allowed}", set()).add(comparison.row)
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
