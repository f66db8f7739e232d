"""Schedule: how a record's network was trained before anything compressed it."""

from __future__ import annotations

from dataclasses import MISSING, Field, fields
from typing import Any

from compressbench.core.record import RunRecord
from compressbench.core.training import TrainingConfig


def _declared(own: Field[Any]) -> Any:
    return own.default if own.default_factory is MISSING else own.default_factory()


DECLARED = {own.name: _declared(own) for own in fields(TrainingConfig)}
"""What a setting was before there was that setting; records are older than some."""

OF_THE_NETWORK = ("lr", "precision")
"""What a schedule leaves to the network and the machine."""


def schedule_before(record: RunRecord) -> dict[str, Any]:
    """Return the settings of the training that made the network before compression, learning rate and precision aside;
    empty where none did."""
    first = record.stages[0] if record.stages else None
    if first is None or record.before is not first:
        return {}
    given = record.plan.get("stages", {}).get(first.name, {})
    training = given.get("training", {})
    found = {name: training.get(name, value) for name, value in DECLARED.items() if name not in OF_THE_NETWORK}
    return {**found, "init": given.get("init", "torch")}
