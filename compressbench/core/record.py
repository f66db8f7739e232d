"""RunRecord: what a run found, written as JSON, enough to rebuild every table. Needs no torch to read."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from compressbench.core.sealed import sealed, unsealed

VERSION = 1


@dataclass
class StageRecord:
    """One stage's result.

    measurements: value by measure name (`top1`, `macs`, ...). units: unit by measure name.
    curve: one entry an epoch: `{"epoch": 1, "train_loss": ..., "validation_top1": ..., "lr": ...}`.
    skipped: `[what, why]` of every part the technique left out. cached: the result was there already.
    seconds: what computing it took, when it was computed. setting: what was chosen on this machine
    (precision, memory layout).
    """

    name: str
    kind: str
    stage_id: str
    measurements: dict[str, float] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    curve: list[dict[str, float]] = field(default_factory=list)
    skipped: list[list[str]] = field(default_factory=list)
    setting: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    cached: bool = False


@dataclass
class RunRecord:
    """A finished run. `status` is `finished`, or `failed` with the reason in `error`.

    plan: `Plan.as_dict()`. reference: the published figures of the row. dataset: name, fingerprint,
    number of images a split. environment: versions and machine. layers: one row a layer of the final
    network. tensors: one row a tensor of the packed file (format, coder, bytes).
    missed: sentences about limits of the budget that were broken.
    sweep: shared by the runs of one multirun, empty otherwise. swept: the overrides that made this point.
    digests: SHA-256 of the files it was stored with, by name.
    """

    recipe: str
    table: str
    row: str
    protocol: str
    seed: int
    plan_id: str
    plan: dict[str, Any]
    reference: dict[str, Any]
    dataset: dict[str, Any]
    environment: dict[str, str]
    stages: list[StageRecord] = field(default_factory=list)
    layers: list[dict[str, Any]] = field(default_factory=list)
    tensors: list[dict[str, Any]] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    status: str = "finished"
    error: str = ""
    started: str = ""
    seconds: float = 0.0
    sweep: str = ""
    swept: dict[str, str] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    version: int = VERSION

    @property
    def final(self) -> StageRecord:
        return self.stages[-1]

    def to_json(self) -> str:
        return sealed(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> RunRecord:
        """Raises ValueError if the text is no record of a version we know, or damaged."""
        try:
            data = unsealed(text)
            if data["version"] != VERSION:
                raise ValueError(f"a run record of version {data['version']}; this is version {VERSION}")
            stages = [StageRecord(**stage) for stage in data.pop("stages")]
            return cls(stages=stages, **data)
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a run record: {error}") from error

    @classmethod
    def read(cls, path: Path) -> RunRecord:
        """Raises ValueError, naming the file, if it holds no record; OSError if it cannot be read."""
        try:
            return cls.from_json(path.read_text())
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
