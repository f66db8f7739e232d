"""The tools of the shoot-out's other rows do what their rows say, on handwritten digits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from compressbench import vision
from compressbench.data.digits import Digits
from tests.benchmarks.peers import PEERS, top1
from tests.techniques.lending import ALEXNET, PLAIN, subject_of

pytestmark = pytest.mark.benchmark


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_gives_a_file_of_its_own_and_answers(name: str, tmp_path: Path) -> None:
    package, make = PEERS[name]
    pytest.importorskip(package.replace("-", "_"))
    vision.mend()
    model = subject_of(ALEXNET, 1, 10, **PLAIN).model.eval()
    dense = sum(4 * parameter.numel() for parameter in model.parameters())
    made = make(model, Digits().load(), Digits().task, tmp_path)
    assert 0 < made.size_bytes < dense
    assert made.answer(torch.zeros(3, 1, 32, 32)).shape == (3, 10)
    assert 0 <= top1(made.answer, Digits().load()) <= 1
