"""The machine's cache lies where the environment says, else in the user's home."""

from pathlib import Path

import pytest

from compressbench.core.paths import machine_cache


def test_the_environment_names_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPRESSBENCH_CACHE", "~/mine")
    assert machine_cache() == Path.home() / "mine"
    monkeypatch.delenv("COMPRESSBENCH_CACHE")
    assert machine_cache() == Path.home() / ".cache" / "compressbench"
