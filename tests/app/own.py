"""A recipe of the user's own that takes a moment: a LeNet-5 on made-up pictures."""

from __future__ import annotations

from typing import Any

OWN: dict[str, Any] = {
    "model": "lenet5",
    "dataset": {"name": "synthetic", "shape": [1, 28, 28]},
    "tracking": "off",
    "limits": {"epochs": 1, "steps": 2},
    "metrics": ["accuracy", "parameters", "macs", "size"],
    "stages": {
        "train": {"technique": "training/from_scratch"},
        "prune": {"technique": "pruning/l1_norm", "ratio": 0.5},
    },
}
