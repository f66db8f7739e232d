"""An example plugin is installed with pip into a fresh environment, used there, and missed where it is absent."""

from __future__ import annotations

import json
import os
import shutil
import site
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
EXAMPLE = REPOSITORY / "tests" / "example_plugin"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return what runs a command in a fresh environment that sees our packages and has the plugin installed."""
    folder = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "env")], check=True)
    python = folder / "env" / "bin" / "python"
    where = subprocess.run(
        [python, "-c", "import site; print(site.getsitepackages()[0])"], capture_output=True, text=True, check=True
    )
    ours = [*site.getsitepackages(), str(REPOSITORY)]
    Path(where.stdout.strip(), "ours.pth").write_text("\n".join(ours))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COMPRESSBENCH_CACHE": str(folder / "cache")}
    environment.pop("PYTHONPATH", None)
    (folder / "work").mkdir()

    def run_there(*words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [python, *words], cwd=folder / "work", env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    shutil.copytree(EXAMPLE, folder / "source")
    offline = ["--quiet", "--no-build-isolation", "--no-deps", "--no-index", "--disable-pip-version-check"]
    of_ours = {**environment, "PYTHONPATH": os.pathsep.join(ours)}  # whose setuptools is newer than that of a fresh one
    install = [python, "-m", "pip", "install", *offline, str(folder / "source")]
    done = subprocess.run(install, env=of_ours, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    shutil.rmtree(folder / "source")
    return run_there


@pytest.mark.slow
def test_the_plugin_is_listed_checked_run_inspected_and_loaded_and_missed_without(run: Run) -> None:
    bench = ("-m", "compressbench")
    listed = run(*bench, "list").stdout
    for name in ("example/clipping", "tiny", "bars", "weight_norm", "example/bars_clipped"):
        assert any(line.split()[:2] == [name, "example"] for line in listed.splitlines()), name
    assert "more than 0 and at most 1" in run(*bench, "list", "clipping").stdout
    assert "weight_norm" in run(*bench, "list", "metrics").stdout
    recipe = ("recipe=example/bars_clipped", "tracking=off")
    assert "example/clipping" in run(*bench, "check", *recipe[:1]).stdout
    assert "example/clipping" in run(*bench, "run", *recipe).stdout
    file = run("-c", "from pathlib import Path; print(*Path('outputs/runs').rglob('model.cbp'))").stdout.strip()
    record = json.loads(run("-c", f"print(open('{Path(file).parent}/record.json').read())").stdout)
    assert record["plan"]["plugins"] == {"example": "1.2.0"}
    assert record["stages"][-1]["metrics"]["top1"] > 0.8
    assert 0 < record["stages"][-1]["metrics"]["weight_norm"] < 100
    assert "needs the plugin 'example' 1.2.0" in run(*bench, "inspect", file).stdout
    assert "all is as the file notes" in run(*bench, "evaluate", file, "--plugin", "example").stdout
    told = f"import compressbench; print(compressbench.load('{file}', plugins=['example']))"
    assert "Gain()" in run("-c", told).stdout

    run("-m", "pip", "uninstall", "--quiet", "--yes", "compressbench-example")
    shown = run(*bench, "inspect", file).stdout
    assert "needs the plugin 'example' 1.2.0 (for cb_example.network.Tiny)" in shown
    assert "0.weight" in shown
    said = run(*bench, "evaluate", file, code=2).stderr
    assert said.count("\n") == 1
    assert "it needs the plugin 'example' 1.2.0 (for cb_example.network.Tiny); if you trust it" in said
    assert (
        "there is no 'example'; none is declared" in run(*bench, "evaluate", file, "--plugin", "example", code=2).stderr
    )
    assert "there is no 'example/bars_clipped'" in run(*bench, "check", *recipe[:1], code=2).stderr


def test_it_keeps_the_contracts() -> None:
    """Its own tests, as they stand in the package."""
    environment = {**os.environ, "PYTHONPATH": f"{EXAMPLE}{os.pathsep}{REPOSITORY}"}
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(EXAMPLE / "tests")]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(".. ")
