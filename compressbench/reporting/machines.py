"""Machines: what the runs of a table were computed with."""

from __future__ import annotations

from collections.abc import Iterable

from compressbench.core.record import RunRecord, StageRecord


def machines(records: Iterable[RunRecord]) -> list[str]:
    """Return what runs were computed with; of runs where that differs, all at once, with the stages."""
    whole: set[str] = set()
    shared: dict[str, dict[str, None]] = {}
    for record in records:
        stages: dict[str, dict[str, None]] = {}
        for stage in record.stages:
            stages.setdefault(_machine(record, stage), {})[stage.name] = None
        if len(stages) == 1:
            whole |= stages.keys()
        else:
            for machine, names in stages.items():
                shared.setdefault(machine or "an unknown machine", {}).update(names)
    parts = "; ".join(f"{machine} ({', '.join(names)})" for machine, names in shared.items())
    return [*sorted(whole - {""}), *([parts] if parts else [])]


def _machine(record: RunRecord, stage: StageRecord) -> str:
    """Return versions and device of a stage. Older records kept them of the run's end only: then the stages from the
    cache say no more than that they were trained on a GPU."""
    environment = stage.environment or record.environment
    if not stage.environment and stage.setting.get("device") == "cuda" and environment.get("device") == "cpu":
        return "a GPU"
    named = {"compressbench": "compressbench {}", "torch": "torch {}", "python": "Python {}"}
    found = [text.format(environment[key]) for key, text in named.items() if environment.get(key)]
    device = environment.get("device", "")
    return ", ".join(
        [*found, *([device if device != "cpu" else environment.get("processor", "cpu")] if device else [])]
    )
