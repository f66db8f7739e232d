"""A stage whose result breaks what was promised is no result."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from compressbench.core.constraint import Frozen, Mask, Shared
from compressbench.core.context import Context
from compressbench.core.errors import RunError
from compressbench.core.plan import Stage
from compressbench.core.subject import Subject
from compressbench.core.technique import Technique
from compressbench.running.progress import SilentProgress
from compressbench.running.run import run
from tests.running.plans import plan


@dataclass(frozen=True)
class Promise(Technique):
    """Promise something of the first layer that is not so."""

    what: str

    def apply(self, subject: Subject, context: Context) -> Subject:
        weight = subject.model.get_parameter("conv1.weight").detach()
        everywhere = torch.ones_like(weight, dtype=torch.bool)
        subject.constraints.append(
            {
                "Mask": Mask("conv1.weight", ~everywhere),
                "Frozen": Frozen("conv1.weight", everywhere, weight + 1),
                "Shared": Shared("conv1.weight", torch.zeros_like(weight, dtype=torch.int16)),
                "gone": Mask("conv9.weight", everywhere),
            }[self.what]
        )
        return subject


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("Mask", r"Mask of conv1\.weight \(500 of 500 elements are zero\)"),
        ("Frozen", r"Frozen of conv1\.weight \(500 of 500 elements never move\)"),
        ("Shared", r"Shared of conv1\.weight \(500 elements have 1 values\)"),
        ("gone", r"Mask of conv9\.weight"),
    ],
)
def test_a_broken_promise_names_stage_parameter_and_kind_and_nothing_is_stored(
    what: str, said: str, tmp_path: Path
) -> None:
    whole = replace(plan(), stages=(plan().stages[0], Stage("promise", "tests/promise", Promise(what))))
    with pytest.raises(RunError, match=rf"stages\.promise \(tests/promise\): .*{said}"):
        run(whole, tmp_path, SilentProgress())
    stored = {path.parent.name for path in (tmp_path / "cache" / "stages").glob("*/stage.json")}
    fingerprint = whole.dataset.fingerprint()
    assert stored == {whole.stage_ids(fingerprint)[0]}
    assert not (tmp_path / "cache" / "stages" / whole.stage_ids(fingerprint)[1] / "model.cbp").exists()
