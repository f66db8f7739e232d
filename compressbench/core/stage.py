"""Stage: a named technique of a plan."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from compressbench.core.technique import Technique


@dataclass(frozen=True)
class Stage:
    """A named technique. `kind` is its name in the catalogue (`pruning/l1_norm`).

    distill: the distillation, as a stage of its own would say it, by whose objective the trainings inside are scored.
    """

    name: str
    kind: str
    technique: Technique
    distill: Stage | None = None

    @property
    def techniques(self) -> tuple[Technique, ...]:
        """Its technique, then the distillation's, if there is one."""
        return (self.technique,) if self.distill is None else (self.technique, *self.distill.techniques)

    def as_dict(self) -> dict[str, Any]:
        """Return technique and parameters, as a recipe says them. `distill`: only where it is given."""
        found = {"technique": self.kind, **shown_fields(self.technique)}
        if self.distill is None:
            return found
        taught = {key: value for key, value in self.distill.as_dict().items() if key != "training"}
        return {**found, "distill": taught}


def shown_fields(value: Any) -> dict[str, Any]:
    """Return all fields, defaults included, but not those that do not change a result (where data lies)."""
    hidden = {field.name for field in fields(value) if not field.metadata.get("identity", True)}
    return {name: content for name, content in asdict(value).items() if name not in hidden}
