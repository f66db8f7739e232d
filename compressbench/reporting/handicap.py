"""Handicap: what our data costs a network without compression, measured by the row that a reference names for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from compressbench.core.metric import MetricSpec
from compressbench.reporting.compare import compare
from compressbench.reporting.comparison import Comparison, Handicap
from compressbench.reporting.formatting import FORMATS, Estimate, difference, in_units, shown
from compressbench.reporting.gather import gather
from compressbench.reporting.schedule import schedule_before


def handicaps(bases: Mapping[str, dict[str, Any]], outputs: Path, folders: Iterable[Path]) -> list[Handicap]:
    """Return what each of these rows measures, on every dataset and under every protocol that it was run.

    bases: by the name of the row's recipe, its reference as `compare` takes it. The rows' records are gathered as for
    their own table.
    """
    found, folders = [], list(folders)
    for name, given in bases.items():
        table, _, row = name.rpartition("/")
        records = [record for record in gather(table or ".", outputs, folders) if record.row == row]
        for made in compare(records, {row: given})[0]:
            schedule = schedule_before(made.records[0]) if made.records else {}
            published = made.reference.figures.get(made.primary)
            if schedule and published is not None and made.primary in made.after:
                of = name, made.dataset, made.protocol, published, made.after[made.primary]
                found.append(Handicap(*of, schedule))
    return found


def handicap_remarks(comparisons: Iterable[Comparison]) -> list[str]:
    """Return a sentence for every handicap that a row of the table was held against."""
    used = {c.handicap: c.score for c in comparisons if c.handicap and c.published_at_equal_handicap is not None}
    return [
        f"At equal handicap: the published {score.heading} minus the "
        f"{in_units(score, difference(score, handicap.points).lstrip('+'))} that {handicap.row} "
        f"(published {_value(score, handicap.published)}, ours {_value(score, handicap.ours)}, {_seeds(handicap)}, "
        f"{handicap.protocol}) lacks on {handicap.dataset}; in brackets ours minus that. The verdict rests on the "
        f"change in {score.heading}; where the level at equal handicap says otherwise, that stands behind it."
        for handicap, score in used.items()
    ]


def _value(score: MetricSpec, value: Estimate | float) -> str:
    return f"{shown(score, value)} {FORMATS[score.format].sign}".strip()


def _seeds(handicap: Handicap) -> str:
    return f"{handicap.ours.seeds} seed{'' if handicap.ours.seeds == 1 else 's'}"
