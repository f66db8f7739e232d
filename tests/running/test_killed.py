"""A run that is disturbed at any file it writes ends, started again, as if nothing had been."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.running.damages import write_recipe
from tests.running.killing import DISTURBANCES

REPOSITORY = Path(__file__).parents[2]
FILES = 16
"""That a tiny run writes, at least."""
EVERY = {"while": 4, "full": 9}
"""At every how manieth of them the slow tests disturb it."""


def disturb(folder: Path, what: str, step: int) -> list[dict[str, Any]]:
    """Return what was found wrong each time it was disturbed."""
    write_recipe(folder)
    done = subprocess.run(
        [sys.executable, "-m", "tests.running.killing", str(folder), what, str(step)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=880,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("what", EVERY)
def test_a_run_disturbed_at_some_of_its_files_ends_with_the_same_record_and_nothing_left_over(
    tmp_path: Path, what: str
) -> None:
    """Nothing that was stored by then is computed again."""
    times = disturb(tmp_path, what, EVERY[what])
    assert [each for each in times if each["bad"]] == []
    assert len(times) >= FILES // EVERY[what]


@pytest.mark.slow
def test_a_cache_that_cannot_be_written_costs_one_error_and_what_is_finished_is_read(tmp_path: Path) -> None:
    assert disturb(tmp_path, "read-only", 1) == [{"what": "read-only", "bad": []}]


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("what", DISTURBANCES)
def test_a_run_disturbed_at_any_of_its_files_ends_with_the_same_record_and_nothing_left_over(
    tmp_path: Path, what: str
) -> None:
    """80 times in all."""
    times = disturb(tmp_path, what, 1)
    assert [each for each in times if each["bad"]] == []
    assert len(times) >= FILES
