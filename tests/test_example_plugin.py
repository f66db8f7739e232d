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


TYPED = """\
import contextlib, io, json, sys
from compressbench.cli.main import main
from compressbench.core import plugins
answers = []
for words in json.loads(sys.argv[1]):
    plugins._named.clear()  # as a new process begins
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = main(words)
    answers.append([code, out.getvalue(), err.getvalue()])
print(json.dumps(answers))
"""
"""One process for several commands: importing torch takes longer than what they do."""


def typed(run: Run, *commands: str) -> list[tuple[int, str, str]]:
    """Return exit code, output and errors of each command."""
    done = run("-c", TYPED, json.dumps([command.split() for command in commands]))
    return [(code, out, err) for code, out, err in json.loads(done.stdout.splitlines()[-1])]


@pytest.mark.slow
def test_the_plugin_is_listed_checked_run_inspected_and_loaded_and_missed_without(run: Run) -> None:
    recipe = "recipe=example/bars_clipped"
    answers = typed(run, "list", "list clipping", "list metrics", f"check {recipe}", f"run {recipe} tracking=off")
    assert {code for code, *_ in answers} == {0}
    listed, clipping, metrics, checked, done = (out for _, out, _ in answers)
    for name in ("example/clipping", "tiny", "bars", "weight_norm", "example/bars_clipped"):
        assert any(line.split()[:2] == [name, "example"] for line in listed.splitlines()), name
    assert "more than 0 and at most 1" in clipping
    assert "weight_norm" in metrics
    assert "example/clipping" in checked
    assert "example/clipping" in done
    file = run("-c", "from pathlib import Path; print(*Path('outputs/runs').rglob('model.cbp'))").stdout.strip()
    record = json.loads(run("-c", f"print(open('{Path(file).parent}/record.json').read())").stdout)
    assert record["plan"]["plugins"] == {"example": "1.2.0"}
    assert record["stages"][-1]["metrics"]["top1"] > 0.8
    assert 0 < record["stages"][-1]["metrics"]["weight_norm"] < 100
    (_, shown, _), (_, evaluated, _) = typed(run, f"inspect {file}", f"evaluate {file} --plugin example")
    assert "needs the plugin 'example' 1.2.0" in shown
    assert "all is as the file notes" in evaluated
    told = f"import compressbench; print(compressbench.load('{file}', plugins=['example']))"
    assert "Gain()" in run("-c", told).stdout

    run("-m", "pip", "uninstall", "--quiet", "--yes", "compressbench-example")
    commands = (f"inspect {file}", f"evaluate {file}", f"evaluate {file} --plugin example", f"check {recipe}")
    answers = typed(run, *commands)
    assert [code for code, *_ in answers] == [0, 2, 2, 2]
    shown, (without, named, absent) = answers[0][1], (err for *_, err in answers[1:])
    assert "needs the plugin 'example' 1.2.0 (for cb_example.network.Tiny)" in shown
    assert "0.weight" in shown
    assert without.count("\n") == 1
    assert "it needs the plugin 'example' 1.2.0 (for cb_example.network.Tiny); if you trust it" in without
    assert "there is no 'example'; none is declared" in named
    assert "there is no 'example/bars_clipped'" in absent


def test_it_keeps_the_contracts() -> None:
    """Its own tests, as they stand in the package."""
    environment = {**os.environ, "PYTHONPATH": f"{EXAMPLE}{os.pathsep}{REPOSITORY}"}
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(EXAMPLE / "tests")]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(".. ")
