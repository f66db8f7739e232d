"""The allocator keeps its memory where there is glibc, and is left alone elsewhere."""

from __future__ import annotations

import platform
import sys

import pytest

from compressbench.training import allocator


@pytest.fixture(autouse=True)
def _anew() -> None:
    allocator.keep_memory.cache_clear()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_glibc_accepts_the_thresholds() -> None:
    assert allocator.keep_memory()


@pytest.mark.parametrize(("system", "library"), [("darwin", "glibc"), ("linux", "")])
def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch, system: str, library: str) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "libc_ver", lambda: (library, ""))
    monkeypatch.setattr(allocator.ctypes, "CDLL", None)  # would fail if it were called
    assert not allocator.keep_memory()
