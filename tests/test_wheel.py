"""The wheel works outside the repository: conf and recipes lie inside it."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


@pytest.mark.slow
def test_an_unpacked_wheel_lists_checks_and_runs_recipes(tmp_path: Path) -> None:
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(tmp_path),
        str(REPOSITORY),
    ]
    subprocess.run(build, check=True)
    with zipfile.ZipFile(next(tmp_path.glob("compressbench-*.whl"))) as wheel:
        wheel.extractall(tmp_path / "unpacked")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "unpacked"), "OMP_NUM_THREADS": "1"}

    def run(*words: str) -> str:
        command = [sys.executable, "-P", "-m", "compressbench", *words]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = [sys.executable, "-P", "-c", "import compressbench; print(compressbench.__file__)"]
    assert str(tmp_path) in subprocess.run(where, env=environment, capture_output=True, text=True, check=True).stdout
    assert "table5/mnist_l1norm_50" in run("list", "recipes")
    assert "reproduced" in run("report", "table5", "--format", "csv", "--outputs", str(tmp_path / "outputs"))
    assert "finetune" in run("run", "recipe=quickstart", "debug=smoke", "tracking=off")
