"""A database made once and copied: making one takes MLflow seconds."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from compressbench.tracking.store import Store, embedded, prepare


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    outputs = tmp_path_factory.mktemp("template")
    prepare(embedded(outputs), [])
    return outputs / "mlflow.db"


@pytest.fixture
def outputs(tmp_path: Path, template: Path) -> Path:
    """An outputs folder with an empty database in it."""
    shutil.copy(template, tmp_path / "mlflow.db")
    return tmp_path


@pytest.fixture
def store(outputs: Path) -> Store:
    return embedded(outputs)
