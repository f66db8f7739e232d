"""Model: the network a recipe names, and the trained weights it starts from."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from compressbench.core.architecture import Architecture


@dataclass(frozen=True)
class Weights:
    """A file of trained weights, and how its names become the network's.

    file: a path to tensors by name (.pt, .pth, .safetensors) or a packed file (.cbp).
    key: where in the file they lie (`model_ema`, `checkpoint.generator`); None: wherever trainings put them.
    rename: what the file calls a part of the network, and what the network does (`{layer: stage, linear: fc}`). It is
        replaced wherever a part of a name begins with it; null leaves such names out.
    """

    file: str
    key: str | None = None
    rename: dict[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Model:
    """The network a recipe names: its name in the catalogue, how it is built, and trained weights or None.

    weights: a file of trained weights, or the name of a torchvision weight set (`IMAGENET1K_V1`).
    """

    name: str
    architecture: Architecture
    weights: str | Weights | None = None

    @property
    def weights_file(self) -> Path | None:
        """The file of given weights if there is such a file; None for a weight set, and without weights."""
        named = self.weights.file if isinstance(self.weights, Weights) else self.weights
        path = None if named is None else Path(named).expanduser()
        return path if path is not None and path.is_file() else None

    def weights_id(self) -> Any:
        """Return what identifies the weights: a file's content, wherever it lies, or the name of a set; and how the
        names in the file become the network's, where the recipe says so."""
        file, given = self.weights_file, self.weights
        if file is None:
            return asdict(given) if isinstance(given, Weights) else given
        with file.open("rb") as opened:
            content = hashlib.file_digest(opened, "sha256").hexdigest()
        said = [given.key, given.rename] if isinstance(given, Weights) else [None, {}]
        return content if said == [None, {}] else [content, *said]

    def as_dict(self) -> dict[str, Any]:
        """Return the model as JSON-able data, as a plan says it."""
        weights = asdict(self.weights) if isinstance(self.weights, Weights) else self.weights
        return {"name": self.name, "weights": weights, **self.architecture.arguments}
