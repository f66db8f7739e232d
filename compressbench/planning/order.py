"""Whether stages can follow one another, by what each needs, adds and refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from compressbench.core.errors import Fault
from compressbench.core.plan import Stage
from compressbench.core.technique import Technique

if TYPE_CHECKING:
    from compressbench.core.context import Context
    from compressbench.core.subject import Subject

NEEDED = {
    "trained": "needs a trained network, but no stage before it trains one",
    "filters_removed": "needs a network with filters removed, but no stage before it removes any",
    "factored": "needs a network with factored layers, but no stage before it factors any",
    "sparse": "needs a network with zeroed weights, but no stage before it zeroes any",
    "retrained": "needs a network trained again, but no stage before it does that",
    "equalized": "needs a network made ready for quantization, but no stage before it does that",
    "quantized": "needs a network with quantized weights, but no stage before it quantizes any",
    "shared": "needs a network whose weights share values, but no stage before it (sharing/kmeans) has them do so",
    "int8": "needs a network with int8 weights, but no stage before it makes them",
    "folded": "needs a network with its batch norm folded, but no stage before it does that",
    "coded": "needs a network with its coders chosen, but no stage before it does that",
}
REFUSED = {
    "trained": "cannot take a network that is trained already",
    "filters_removed": "cannot take a network whose filters were removed",
    "factored": "cannot take a network with factored layers",
    "sparse": "cannot take a network with zeroed weights",
    "retrained": "cannot take a network that was trained again",
    "equalized": "cannot take a network that was made ready for quantization, for its weights say less of themselves",
    "quantized": "cannot take a network with quantized weights",
    "shared": "cannot take a network whose weights share values",
    "int8": "cannot train int8 weights, which are integers and stay as they are; quantization/qat_int8 trains, then "
    "makes them int8",
    "folded": "cannot take a network with its batch norm folded",
    "coded": "cannot take a network with its coders chosen",
}
assert set(NEEDED) == set(REFUSED) == Technique.TRAITS


class GivenWeights(Technique):
    """Stands before the first stage if the network starts with given weights."""

    adds = frozenset({"trained"})

    def apply(self, subject: Subject, context: Context) -> Subject:
        return subject


def order_faults(stages: Sequence[Stage], trained: bool) -> list[Fault]:
    """Return what is impossible about an order. trained: whether the network starts with given weights."""
    made_by = {"trained": "the given weights"} if trained else {}
    faults = []
    earlier: list[Technique] = [GivenWeights()] if trained else []
    for stage in stages:
        where = f"stages.{stage.name}"
        own = _faults_of(stage, where, made_by, earlier)
        if stage.distill is not None and not own:
            own = _faults_of(stage.distill, f"{where}.distill", made_by, earlier)
        faults += own
        for trait in stage.technique.adds:
            made_by.setdefault(trait, where)
        earlier.append(stage.technique)
    return faults


def _faults_of(stage: Stage, where: str, made_by: Mapping[str, str], earlier: Sequence[Technique]) -> list[Fault]:
    """Return what is against a technique here. made_by: traits of the network, each with the stage that added it."""
    technique = stage.technique
    found = [NEEDED[trait] for trait in sorted(technique.needs - made_by.keys())]
    found += [f"{REFUSED[trait]} (by {made_by[trait]})" for trait in sorted(technique.refuses & made_by.keys())]
    reason = technique.fault_after(tuple(earlier))
    return [Fault(where, f"{stage.kind} {each}") for each in [*found, *([] if reason is None else [reason])]]
