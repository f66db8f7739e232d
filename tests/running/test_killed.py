"""A run that is killed at any file it writes ends, started again, as if nothing had been, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running.damages import write_recipe
from tests.running.killing import MOMENTS

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "moment", [pytest.param(each, marks=pytest.mark.long if n else pytest.mark.slow) for n, each in enumerate(MOMENTS)]
)
def test_a_run_killed_at_any_of_its_files_ends_with_the_same_record_and_nothing_left_over(
    tmp_path: Path, moment: str
) -> None:
    """48 kills in all: at each of 16 files."""
    write_recipe(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "tests.running.killing", str(tmp_path), moment],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=880,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kills = [json.loads(line) for line in done.stdout.splitlines()]
    assert [kill for kill in kills if kill["bad"]] == []
    assert len(kills) >= 16
