"""The cache of stage results: whoever needs a stage again (another row, another process) loads it."""

from __future__ import annotations

import json
import shutil
import warnings
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from compressbench.core.atomic import write_atomically
from compressbench.core.constraint import CONSTRAINTS, Constraint
from compressbench.core.dotted import dotted_path, locate
from compressbench.core.lock import alone
from compressbench.core.plugins import plugin_of
from compressbench.core.sealed import file_digest, sealed, unsealed
from compressbench.core.subject import Skipped, Subject
from compressbench.packing import packed_file
from compressbench.running.folders import CHECKPOINTS, STAGE, stage_lock
from compressbench.running.shared_cache import SharedCache

MODEL, PROMISES = "model.cbp", "constraints.safetensors"
FILES = (MODEL, PROMISES, STAGE)


@dataclass
class StageResult:
    """What is known of a finished stage besides its weights. `measured`: by identity of the metric, its
    values by name.

    environment: versions and machine it was computed with; empty if it was stored before that was kept.
    digests: SHA-256 of the files it was stored with, so that a damaged one is found, or another one in its place; of
    the packed file without its note, which is written when the stage is measured. stage_id: under which it was stored;
    made_for: the recipe, stage and seed that it was computed for first; both empty if stored before that was kept.
    """

    measured: dict[str, dict[str, float]] = field(default_factory=dict)
    curve: list[dict[str, float]] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    setting: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    digests: dict[str, str] = field(default_factory=dict)
    stage_id: str = ""
    made_for: dict[str, str] = field(default_factory=dict)


class StageCache:
    """Stage results below one folder, a subfolder each, named by the stage's identity. shared: where else they are."""

    def __init__(self, folder: Path, shared: SharedCache | None = None):
        self.folder, self.shared = folder, shared

    def model_path(self, stage_id: str) -> Path:
        return self.folder / stage_id / MODEL

    def checkpoint_path(self, stage_id: str) -> Path:
        """Where a training of this stage keeps its checkpoints until the stage is stored."""
        return self.folder / stage_id / CHECKPOINTS

    def lock(self, stage_id: str, waiting: str = "") -> AbstractContextManager[None]:
        """Hold the stage for this process; another one that wants it waits, and warns with the words `waiting`."""
        return alone(stage_lock(self.folder, stage_id), waiting)

    def find(self, stage_id: str) -> StageResult | None:
        """Return a stored result, or None. A damaged one is removed with a warning, to be computed again."""
        folder = self.folder / stage_id
        if not (folder / STAGE).exists():
            return None
        try:
            result = self.read(stage_id)
        except (OSError, ValueError) as error:
            warnings.warn(f"the cached stage {folder} cannot be used ({error}); it is computed again", stacklevel=2)
            shutil.rmtree(folder)
            return None
        shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)  # of a process killed before it did so itself
        return result

    def fetch(self, stage_id: str) -> StageResult | None:
        """Return a result that is in the shared cache alone, and have it here. Whoever calls holds its lock."""
        if self.shared is None or not self.shared.fetch(self.folder / stage_id, FILES):
            return None
        return self.find(stage_id)

    def share(self, stage_id: str) -> None:
        """Have a stored stage in the shared cache too."""
        if self.shared is not None:
            self.shared.store(self.folder / stage_id, FILES)

    def read(self, stage_id: str) -> StageResult:
        """Return a stored result. OSError if it cannot be read, ValueError if it is damaged or another stage's."""
        folder = self.folder / stage_id
        try:
            result = _from_json((folder / STAGE).read_bytes())
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{STAGE} says something else than what is known of a stage: {error}") from error
        if result.stage_id not in ("", stage_id):
            raise ValueError(f"it is the result of the stage {result.stage_id}")
        digests = _digests(folder)
        for name, expected in result.digests.items():
            if digests.get(name) != expected:
                raise ValueError(f"{name} is damaged")
        return result

    def load(self, stage_id: str, result: StageResult) -> Subject:
        """Return the subject of a found result."""
        folder = self.folder / stage_id
        subject = packed_file.read(folder / MODEL)
        subject.skipped = list(result.skipped)
        if (folder / PROMISES).exists():
            subject.constraints = _read_constraints(folder / PROMISES)
        return subject

    def store(self, stage_id: str, subject: Subject, result: StageResult) -> None:
        """Store a stage's subject; the result counts as found from the moment its last file is renamed.

        ValueError if the subject cannot be packed.
        """
        folder = self.folder / stage_id
        packed_file.write(subject, folder / MODEL)
        if subject.constraints:
            _write_constraints(subject.constraints, folder / PROMISES)
        else:
            (folder / PROMISES).unlink(missing_ok=True)
        result.digests, result.stage_id = _digests(folder), stage_id
        self.update(stage_id, result)
        shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)

    def update(self, stage_id: str, result: StageResult) -> None:
        """Store what is known of a stage again, with further values."""
        write_atomically(self.folder / stage_id / STAGE, sealed(asdict(result)))


def _from_json(text: bytes) -> StageResult:
    data = unsealed(text)
    data["measured"] = {key: _values(found) for key, found in data["measured"].items()}
    data["skipped"] = [Skipped(**skipped) for skipped in data["skipped"]]
    return StageResult(**data)


def _values(found: Any) -> dict[str, float]:
    """Return a metric's values by name; results of version 0.4 and before list them with their units."""
    return {each["name"]: each["value"] for each in found} if isinstance(found, list) else dict(found)


def _digests(folder: Path) -> dict[str, str]:
    """Return the digests of a stage's files. PackedFileError if the packed one is damaged, by its own checksum."""
    found = {MODEL: packed_file.network_digest(folder / MODEL)}
    return found | ({PROMISES: file_digest(folder / PROMISES)} if (folder / PROMISES).exists() else {})


def _write_constraints(constraints: list[Constraint], path: Path) -> None:
    tensors, described = {}, []
    for index, constraint in enumerate(constraints):
        words: dict[str, Any] = {}
        for name, value in vars(constraint).items():
            if isinstance(value, str):
                words[name] = value
            elif isinstance(value, torch.Tensor):
                tensors[f"{index}.{name}"] = value.detach().cpu().contiguous()
            else:
                what = f"keeps {name}, a {type(value).__name__}; allowed: texts and tensors"
                raise ValueError(f"the constraint {type(constraint).__name__} cannot be stored: it {what}")
        described.append({"kind": _kind_of(constraint), "words": words})
    write_atomically(path, safetensors.torch.save(tensors, {"constraints": json.dumps(described)}))


def _kind_of(constraint: Constraint) -> str:
    """Return how the class of a constraint is named: ours by its name, a plugin's by its dotted path."""
    kind = type(constraint)
    if CONSTRAINTS.get(kind.__name__) is kind:
        return kind.__name__
    if plugin_of(dotted_path(kind)) is None:
        raise ValueError(f"the constraint {dotted_path(kind)} cannot be stored: it is neither ours nor in a plugin")
    return dotted_path(kind)


def _read_constraints(path: Path) -> list[Constraint]:
    with safetensors.safe_open(path, framework="pt") as file:
        described = json.loads(file.metadata()["constraints"])
        tensors = {name: file.get_tensor(name) for name in file.offset_keys()}
    constraints = []
    for index, description in enumerate(described):
        prefix = f"{index}."
        own = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
        kind = CONSTRAINTS.get(description["kind"]) or locate(description["kind"], "compressbench.core.constraint.")
        constraints.append(kind(**description["words"], **own))
    return constraints
