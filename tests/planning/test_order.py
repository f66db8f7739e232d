"""What can follow what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compressbench.core.plan import Stage
from compressbench.core.technique import Technique
from compressbench.planning.order import order_faults


class _Step(Technique):
    def apply(self, subject, context):
        return subject


@dataclass(frozen=True)
class Train(_Step):
    adds = frozenset({"trained"})
    refuses = frozenset({"trained"})


@dataclass(frozen=True)
class Zero(_Step):
    needs = frozenset({"trained"})
    adds = frozenset({"sparse"})

    def fault_after(self, earlier: Sequence[Technique]) -> str | None:
        return "zeroes nothing new" if any(isinstance(technique, Zero) for technique in earlier) else None


@dataclass(frozen=True)
class Cut(_Step):
    needs = frozenset({"trained"})
    refuses = frozenset({"sparse"})


def faults(*techniques: Technique, trained: bool = False) -> list[str]:
    stages = [Stage(f"s{number}", type(each).__name__, each) for number, each in enumerate(techniques)]
    return [str(fault) for fault in order_faults(stages, trained)]


def test_an_order_that_works():
    assert faults(Train(), Cut(), Zero()) == []


def test_given_weights_are_trained():
    assert faults(Cut(), trained=True) == []
    assert faults(Train(), trained=True) == [
        "stages.s0: Train cannot take a network that is trained already (by the given weights)"
    ]


def test_what_is_needed_must_come_before():
    assert faults(Cut(), Train()) == ["stages.s0: Cut needs a trained network, but no stage before it trains one"]


def test_what_is_refused_names_the_stage_that_did_it():
    assert faults(Train(), Zero(), Cut()) == ["stages.s2: Cut cannot take a network with zeroed weights (by stages.s1)"]


def test_a_technique_has_rules_of_its_own_and_all_faults_come_together():
    assert faults(Zero(), Zero()) == [
        "stages.s0: Zero needs a trained network, but no stage before it trains one",
        "stages.s1: Zero needs a trained network, but no stage before it trains one",
        "stages.s1: Zero zeroes nothing new",
    ]
