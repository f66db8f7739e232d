"""Comparison: one row of a table, ours (mean, spread, number of seeds) beside what was published, and its verdict."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from compressbench.core.budget import Reference
from compressbench.core.record import RunRecord
from compressbench.reporting import verdict as rules
from compressbench.reporting.formatting import Estimate

ACCURACIES = ("top1", "top5")
COUNTS = ("params", "macs", "flops_survey")
CHANGE = "top1_change"
LEVEL = "top1_at_equal_handicap"
FIGURES = {"params": "params", "macs": "MACs", "flops_survey": "survey FLOPs", "top1": "top1", CHANGE: "change in top1"}
FIGURES |= {"size_bytes": "file", LEVEL: "level at equal handicap"}
"""What a verdict can be about, in words."""

SPARSE = 0.99
"""A network with fewer non-zero parameters than this share is a sparse one: its non-zero parameters are compared."""


@dataclass(frozen=True)
class Handicap:
    """What our data costs a network without compression: its published top1 (a fraction) and ours on this dataset.

    row: the recipe that measures it (`table6/cifar10_base`). schedule: how that was trained (`schedule_before`).
    """

    row: str
    dataset: str
    protocol: str
    published: float
    ours: Estimate
    schedule: dict[str, Any] = field(hash=False)

    @property
    def points(self) -> float:
        """Published minus ours, a fraction."""
        return self.published - self.ours.mean


@dataclass(frozen=True)
class Comparison:
    """One row of a table on one dataset under one protocol; without records it was not run.

    before, after: means over seeds by metric, before compression and of the final stage. change: after minus
    before, of each seed, then averaged. verdicts: by measure; `top1_change` where levels cannot be compared.
    beside: verdicts on what decides nothing: `top1_change` where levels can be compared, else the level at equal
    handicap. by_hand: the training is no protocol's, nor the recipe's own: the command line changed it.
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
    handicap: Handicap | None = None
    verdicts: dict[str, str] = field(default_factory=dict)
    beside: dict[str, str] = field(default_factory=dict)
    by_hand: bool = False

    @property
    def verdict(self) -> str:
        return rules.worst(self.verdicts.values()) if self.records else rules.NOT_RUN

    @property
    def judgement(self) -> str:
        """The verdict and what it rests on: the figures that are not the print's, or what could be compared at all;
        and behind it what is above the print or says otherwise."""
        deciding = self.verdicts.get("top1", self.verdicts.get(CHANGE, ""))
        others = [f"{FIGURES[name]} {found}" for name, found in self.beside.items() if not rules.alike(found, deciding)]
        level = {"top1": "top1 (level)"} if others else {}
        if others and "top1" in self.verdicts and deciding not in (self.verdict, rules.ABOVE):  # it is not named yet
            others = [f"level of top1 {deciding}, {others[0]}"]

        def named(wanted: str) -> str:
            return ", ".join((FIGURES | level)[name] for name, found in self.verdicts.items() if found == wanted)

        said = self.verdict
        if said in (rules.WITHIN, rules.DIFFERS):
            said = f"{said}: {named(said)}"
            others = [*([f"{above} above"] if (above := named(rules.ABOVE)) else []), *others]
        elif said == rules.ABOVE:
            said = f"{said}: {named(said)}"
        elif said == rules.REPRODUCED and self.same_dataset:
            said += " (level)" if others and "top1" in self.verdicts else ""
        elif said == rules.REPRODUCED:
            said += " (change)" if CHANGE in self.verdicts else " (counts only)"
        return "; ".join([said, *others])

    @property
    def agrees_at_equal_handicap(self) -> bool:
        """Whether nothing but the change in top1 differs, and the level at equal handicap does not."""
        differing = [name for name, found in self.verdicts.items() if found == rules.DIFFERS]
        return differing == [CHANGE] and self.beside.get(LEVEL) in rules.AGREES

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
        before, after = self.reference.before.get("size_bytes"), self.reference.figures.get("size_bytes")
        return before / after if before and after else None

    @property
    def published_at_equal_handicap(self) -> float | None:
        """The published top1 minus the handicap; None where no handicap was measured."""
        published = self.reference.figures.get("top1")
        return None if self.handicap is None or published is None else published - self.handicap.points

    @property
    def sparse(self) -> bool:
        """Whether the final network's non-zero parameters are compared, not all."""
        return is_sparse(self.after)

    def published_change(self, metric: str) -> float | None:
        """Return after minus before as published; None if one of the two is not, or the row changes nothing."""
        published = self.reference
        after, before = published.figures.get(metric), published.before.get(metric)
        unchanged = after == before and published.figures.get("params") == published.before.get("params")
        return None if after is None or before is None or unchanged else after - before


def counted(measured: dict[str, Estimate], name: str) -> Estimate | None:
    """Return the count that a paper prints as `name`: parameters without batch norm's, of a sparse network the
    non-zero ones; MACs and survey FLOPs as they are."""
    if name != "params":
        return measured.get(name)
    dense, nonzero = _parameters(measured)
    return nonzero if is_sparse(measured) else dense


def is_sparse(measured: dict[str, Estimate]) -> bool:
    """Whether fewer of the parameters than the share `SPARSE` are not zero."""
    dense, nonzero = _parameters(measured)
    return dense is not None and nonzero is not None and nonzero.mean < SPARSE * dense.mean


def _parameters(measured: dict[str, Estimate]) -> tuple[Estimate | None, Estimate | None]:
    dense = measured.get("params_without_bn", measured.get("params"))
    return dense, measured.get("params_without_bn_nonzero", measured.get("params_nonzero"))
