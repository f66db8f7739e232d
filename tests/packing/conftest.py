"""A network that is not small, and where it is written to."""

from pathlib import Path

import pytest

from compressbench.core.subject import Subject
from tests.packing.networks import ALEXNET, subject_of


@pytest.fixture
def subject() -> Subject:
    return subject_of(ALEXNET)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "model.cbp"
