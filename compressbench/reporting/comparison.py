"""Comparison: one row of a table, ours (mean, spread, number of seeds) beside what was published, and its verdict."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from compressbench.core.budget import Reference
from compressbench.core.metric import MetricSpec
from compressbench.core.record import RunRecord
from compressbench.core.specs import Specs, sparse_one
from compressbench.reporting import verdict as rules
from compressbench.reporting.formatting import Estimate

WEIGHTS, FILE = "params", "size_bytes"
"""What tells how many times smaller a file is than the network before compression: its parameters, at 4 bytes each."""

SPARSE = 0.99
"""A network with fewer non-zero parameters than this share is a sparse one: what is not zero of it is compared."""


@dataclass(frozen=True)
class Handicap:
    """What our data costs a network without compression: its published score (top1) and ours on this dataset.

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
    before, of each seed, then averaged. verdicts: by metric; `top1_change` where levels cannot be compared.
    beside: verdicts on what decides nothing: `top1_change` where levels can be compared, else the level at equal
    handicap. by_hand: the training is no protocol's, nor the recipe's own: the command line changed it.
    specs: what metrics say of the figures, by name. primary: the metric that decides (`top1`).
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
    specs: Specs = field(default_factory=dict)
    primary: str = ""

    @property
    def score(self) -> MetricSpec:
        """What the metric that decides says of itself."""
        return self.specs.get(self.primary) or MetricSpec(self.primary or "score", "", None, self.primary)

    @property
    def change_key(self) -> str:
        """What the verdict on the change of the primary metric is called."""
        return f"{self.primary}_change"

    @property
    def level_key(self) -> str:
        """What the verdict on the level at equal handicap is called."""
        return f"{self.primary}_at_equal_handicap"

    def called(self, name: str) -> str:
        """Return what a verdict is about, in words."""
        named = {self.change_key: f"change in {self.score.heading}", self.level_key: "level at equal handicap"}
        return named.get(name) or (self.specs[name].heading if name in self.specs else "") or name

    @property
    def verdict(self) -> str:
        return rules.worst(self.verdicts.values()) if self.records else rules.NOT_RUN

    @property
    def judgement(self) -> str:
        """The verdict and what it rests on: the figures that are not the print's, or what could be compared at all;
        and behind it what is above the print or says otherwise."""
        score, change = self.primary, self.change_key
        deciding = self.verdicts.get(score, self.verdicts.get(change, ""))
        others = [f"{self.called(n)} {found}" for n, found in self.beside.items() if not rules.alike(found, deciding)]
        level = {score: f"{self.score.heading} (level)"} if others else {}
        if others and score in self.verdicts and deciding not in (self.verdict, rules.ABOVE):  # it is not named yet
            others = [f"level of {self.score.heading} {deciding}, {others[0]}"]

        def named(wanted: str) -> str:
            return ", ".join(level.get(n) or self.called(n) for n, found in self.verdicts.items() if found == wanted)

        said = self.verdict
        if said in (rules.WITHIN, rules.DIFFERS):
            said = f"{said}: {named(said)}"
            others = [*([f"{above} above"] if (above := named(rules.ABOVE)) else []), *others]
        elif said == rules.ABOVE:
            said = f"{said}: {named(said)}"
        elif said == rules.REPRODUCED and self.same_dataset:
            said += " (level)" if others and score in self.verdicts else ""
        elif said == rules.REPRODUCED:
            said += " (change)" if change in self.verdicts else " (counts only)"
        return "; ".join([said, *others])

    @property
    def agrees_at_equal_handicap(self) -> bool:
        """Whether nothing but the change in the primary metric differs, and the level at equal handicap does not."""
        differing = [name for name, found in self.verdicts.items() if found == rules.DIFFERS]
        return differing == [self.change_key] and self.beside.get(self.level_key) in rules.AGREES

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
        params, size = self.before.get(WEIGHTS, self.after.get(WEIGHTS)), self.after.get(FILE)
        return 4 * params.mean / size.mean if params and size and size.mean else None

    @property
    def published_times_smaller(self) -> float | None:
        before, after = self.reference.before.get(FILE), self.reference.figures.get(FILE)
        return before / after if before and after else None

    @property
    def published_at_equal_handicap(self) -> float | None:
        """The published score minus the handicap; None where no handicap was measured."""
        published = self.reference.figures.get(self.primary)
        return None if self.handicap is None or published is None else published - self.handicap.points

    def published_change(self, metric: str) -> float | None:
        """Return after minus before as published; None if one of the two is not, or the row changes nothing."""
        published = self.reference
        after, before = published.figures.get(metric), published.before.get(metric)
        unchanged = after == before and published.figures.get(WEIGHTS) == published.before.get(WEIGHTS)
        return None if after is None or before is None or unchanged else after - before

    def counted(self, name: str) -> Estimate | None:
        """Return what a paper prints as `name`: where metrics say so another one of ours (parameters without batch
        norm's), and of a sparse network what is not zero of it."""
        dense = self._dense(name)
        return self.after.get(dense if (sparse := self.sparse(name)) is None else sparse.name)

    def sparse(self, name: str) -> MetricSpec | None:
        """Return the count of what is not zero that stands for `name`; None if the network is not sparse."""
        dense = self._dense(name)
        found = sparse_one(self.specs, dense)
        every, some = self.after.get(dense), self.after.get(found.name) if found else None
        return found if every is not None and some is not None and some.mean < SPARSE * every.mean else None

    def _dense(self, name: str) -> str:
        found = (spec.name for spec in self.specs.values() if spec.published_as == name)
        return next((each for each in found if each in self.after), name)
