"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from compressbench.core import plugin, plugins

collect_ignore = ["example_plugin"]  # a package of its own, whose tests need it installed
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the tests run side by side; small networks gain nothing from more


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real datasets; tests that need it are skipped where COMPRESSBENCH_DATA is not set."""
    folder = os.environ.get("COMPRESSBENCH_DATA")
    if not folder:
        pytest.skip("needs real data: set COMPRESSBENCH_DATA to its folder")
    return Path(folder)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The machine's cache is not filled by tests."""
    os.environ["COMPRESSBENCH_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs in a folder of its own, so that nothing is written into the repository's outputs."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _no_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test begins as a process does: no plugin was named yet."""
    monkeypatch.delenv(plugins.VARIABLE, raising=False)
    monkeypatch.setattr(plugins, "_named", {})
    plugin._own_version.cache_clear()
