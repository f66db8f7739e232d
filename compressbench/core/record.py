"""RunRecord: what a run found, written as JSON, enough to rebuild every table. Needs no torch to read."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compressbench.core.before import index_before
from compressbench.core.metric import MetricSpec
from compressbench.core.paths import found_run, outputs_folder
from compressbench.core.sealed import sealed, unsealed

if TYPE_CHECKING:
    from pandas import DataFrame

VERSION = 2
"""1: figures without what their metrics say of them."""


@dataclass
class StageRecord:
    """One stage's result.

    metrics: value by metric name (`top1`, `macs`, ...); what they are says the record's `metric_specs`.
    curve: one entry an epoch: `{"epoch": 1, "train_loss": ..., "validation_top1": ..., "lr": ...}`.
    skipped: `[what, why]` of every part the technique left out. cached: the result was there already.
    seconds: what computing it took, when it was computed. setting: how its last training was computed (precision,
    memory layout, device, threads); of given weights, how they were matched (`weights`). environment: what it was
    computed in, which may be long before the run that has it from the cache; empty if that is not known or the record's
    own. reads: the identity of each other result that it reads (`table6/cifar10_base: train`), such as a teacher's.
    """

    name: str
    kind: str
    stage_id: str
    metrics: dict[str, float] = field(default_factory=dict)
    curve: list[dict[str, float]] = field(default_factory=list)
    skipped: list[list[str]] = field(default_factory=list)
    setting: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    cached: bool = False
    reads: dict[str, str] = field(default_factory=dict)


@dataclass
class RunRecord:
    """A run. `status` is `finished`, or `failed` with the reason in `error`; `running` while it is told about, never
    on disk.

    plan: `Plan.as_dict()`. reference: the published figures of the row. dataset: name, fingerprint,
    number of examples a split. environment: versions and machine of the run; its stages have their own.
    layers: one row a layer of the final network, in committed records only of those that multiply.
    tensors: one row a tensor of the packed file (format, coder, bytes).
    missed: sentences about limits of the budget that were broken. given: the network before the first stage, if its
    weights were given. changed: what was written over the recipe, by key: how this run differs from others of its row.
    sweeps: the sweeps it is a point of: by id, the values that made it (`{"stages.prune.ratio": "0.5"}`).
    digests: SHA-256 of the files it was stored with, by name.
    metric_specs: what the metrics say of their figures, by name, in the order of tables. primary: the metric by which
    networks for its task are compared.
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
    sweeps: dict[str, dict[str, str]] = field(default_factory=dict)
    given: StageRecord | None = None
    changed: dict[str, str] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    metric_specs: dict[str, MetricSpec] = field(default_factory=dict)
    primary: str = ""
    version: int = VERSION

    @property
    def networks(self) -> list[StageRecord]:
        """Every network that was measured, in order: the given one, if there is one, and what each stage made."""
        return [*([self.given] if self.given else []), *self.stages]

    @property
    def final(self) -> StageRecord:
        return self.networks[-1]

    @property
    def before(self) -> StageRecord | None:
        """The network before compression, None if there was none."""
        index = index_before([stage.kind for stage in self.stages], self.given is not None)
        if index is None:
            return None
        return self.stages[index] if index >= 0 else self.given

    @property
    def swept(self) -> dict[str, str]:
        """What was swept, by key. Sweeps cannot disagree about it: they share the run because it is the same."""
        return {key: value for values in self.sweeps.values() for key, value in values.items()}

    def in_sweep(self, sweep: str) -> RunRecord:
        """Return the record as a point of this sweep alone."""
        return replace(self, sweeps={sweep: self.sweeps.get(sweep, {})})

    def to_frame(self) -> DataFrame:
        """Return a pandas DataFrame, a row a network that was measured: the given one, if there is one, and each stage.

        The index is the stage's name; columns are its `technique`, every metric by name, `epochs` and `seconds` of
        training it, and whether it was `cached`. What was not measured of a network is NaN.

            >>> record = compressbench.run("quickstart")
            >>> record.to_frame()[["technique", "top1", "params", "size_bytes"]]
                              technique    top1   params  size_bytes
            stage
            train     training/from_scratch  0.9778  4100618    16410342
            ...
        """
        from pandas import DataFrame, Index

        rows = [
            {"technique": each.kind, **each.metrics, "epochs": len(each.curve), "seconds": each.seconds}
            | {"cached": each.cached}
            for each in self.networks
        ]
        return DataFrame(rows, index=Index([each.name for each in self.networks], name="stage"))

    def packed_file(self, outputs: str | Path | None = None) -> Path:
        """Return the path of the run's packed file, for `compressbench.load`.

        outputs: the folder of the runs, if it is not the one in COMPRESSBENCH_OUTPUTS or `outputs`.
        FileNotFoundError if the run does not lie there.
        """
        runs = outputs_folder(outputs) / "runs"
        folder = found_run(runs / self.table / self.row, self.plan_id)
        if folder is None or not (folder / "model.cbp").is_file():
            raise FileNotFoundError(f"there is no run {self.recipe} seed {self.seed} ({self.plan_id}) below {runs}")
        return folder / "model.cbp"

    def to_json(self) -> str:
        return sealed(self.as_dict(), indent=1)

    def as_dict(self) -> dict[str, Any]:
        """Return the record as JSON-able data; of a metric only what is not as declared for all of them."""
        return {**asdict(self), "metric_specs": {name: described(spec) for name, spec in self.metric_specs.items()}}

    @classmethod
    def from_json(cls, text: str) -> RunRecord:
        """Raises ValueError if the text is no record of a version we know, or damaged."""
        try:
            data = unsealed(text)
            if data["version"] != VERSION:
                again = "docs/migrate_0_2.py moves those of version 1"
                raise ValueError(f"a run record of version {data['version']}; this is version {VERSION}: {again}")
            stages = [StageRecord(**stage) for stage in data.pop("stages")]
            given = data.pop("given", None)  # older records have none
            specs = {name: read_spec(name, told) for name, told in data.pop("metric_specs").items()}
            found = cls(stages=stages, given=given and StageRecord(**given), metric_specs=specs, **data)
            unknown = sorted({name for network in found.networks for name in network.metrics} - specs.keys())
            if unknown:
                raise ValueError(f"a run record that does not say what these figures are: {', '.join(unknown)}")
            return found
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a run record: {error}") from error

    @classmethod
    def read(cls, path: Path) -> RunRecord:
        """Raises ValueError, naming the file, if it holds no record; OSError if it cannot be read."""
        try:
            return cls.from_json(path.read_text())
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error


def described(spec: MetricSpec) -> dict[str, Any]:
    """Return what a metric says of a figure as JSON-able data, but for its name and what is as declared."""
    declared = {own.name: own.default for own in fields(MetricSpec)}
    return {key: value for key, value in vars(spec).items() if key != "name" and value != declared[key]}


def read_spec(name: str, told: dict[str, Any]) -> MetricSpec:
    """Return what `described` was given; of what newer versions add nothing is known here."""
    known = {own.name for own in fields(MetricSpec)}
    kept: dict[str, Any] = {key: value for key, value in told.items() if key in known}
    kept |= {"rows": tuple(kept["rows"])} if "rows" in kept else {}
    return MetricSpec(name, **kept)
