"""From overrides to a plan that must have no fault, or to its faults as people read them."""

from __future__ import annotations

from compressbench.core.plan import Plan
from compressbench.planning.build import build
from compressbench.planning.compose import compose


def built(*overrides: str) -> Plan:
    plan, faults = build(compose(list(overrides)), overrides)
    assert faults == []
    assert plan is not None
    return plan


def faults(*overrides: str) -> list[str]:
    return [str(fault) for fault in build(compose(list(overrides)), overrides)[1]]
