"""`list` and `report` of a single name."""

from __future__ import annotations

import subprocess
import sys
from io import StringIO

import pytest
from rich.console import Console

from compressbench.app.listing import techniques
from compressbench.cli import technique_table
from compressbench.cli.main import main
from tests.cli.commands import Captured, recipe, refused


def listed(capsys: Captured, name: str) -> str:
    assert main(["list", name]) == 0
    return capsys.readouterr().out


def test_the_rows_of_a_table_and_the_techniques_of_a_family(capsys: Captured) -> None:
    rows = listed(capsys, "table5").splitlines()
    assert len(rows) == 16
    assert all(row.startswith("table5/") for row in rows)
    assert "pruning/magnitude  " in listed(capsys, "pruning")


def test_a_technique_a_network_a_dataset_a_measure_and_a_recipe(capsys: Captured) -> None:
    for name in ("pruning/magnitude", "magnitude"):
        shown = listed(capsys, name)
        assert "0 or more and less than 1" in shown
        assert "Han et al. 2015" in shown
    assert "hidden" in listed(capsys, "alexnet")
    assert "28 or more" in listed(capsys, "mnist")
    assert "no parameters" in listed(capsys, "size")
    assert "model: alexnet_bnd" in listed(capsys, "quickstart")


def test_the_techniques_stand_a_line_each_with_their_paper_and_tables(capsys: Captured) -> None:
    heading, *lines = listed(capsys, "techniques").splitlines()
    assert heading.split("  ")[0] == "technique"
    (line,) = (line for line in lines if line.startswith("pruning/magnitude "))
    cells = [cell for cell in line.split("  ") if cell]
    assert [cell.strip() for cell in cells[1:3]] == ["Han et al. 2015", "trained"]
    assert "han2015" in cells[-1]
    assert listed(capsys, "families").startswith("coding ")


def test_a_narrow_terminal_shows_fewer_columns_and_names_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def printed(width: int) -> str:
        on_terminal = Console(force_terminal=True, color_system=None, width=width, file=StringIO())
        monkeypatch.setattr(technique_table, "console", lambda: on_terminal)
        technique_table.print_techniques(techniques("pruning"))
        assert isinstance(on_terminal.file, StringIO)
        return on_terminal.file.getvalue()

    assert "too narrow" not in printed(160)
    assert "too narrow to show: paper, needs, tables" in printed(70)
    assert all(len(line) <= 70 for line in printed(70).splitlines())


def test_markdown_is_of_techniques_only(capsys: Captured) -> None:
    assert main(["list", "sharing", "--format", "markdown"]) == 0
    assert "| sharing/kmeans | Han et al. 2016 | trained |" in capsys.readouterr().out
    assert "'table5' there is no such table" in refused(capsys, "list", "table5", "--format", "markdown")


def test_the_schedules_and_one_of_them(capsys: Captured) -> None:
    names = [line.partition(" ")[0] for line in listed(capsys, "training").splitlines()]
    shootout = ["shootout", "shootout_mnist"]
    assert names == ["reduced", "reduced_60", "reduced_mnist", *shootout, "steps_160", "survey", "survey_best"]
    shown = listed(capsys, "survey")
    assert "init: he_fan_out" in shown
    assert "on the command line training=survey" in shown
    assert "did you mean 'survey'?" in refused(capsys, "list", "survy")


def test_a_launcher_shows_its_words_and_how_it_is_chosen(capsys: Captured) -> None:
    shown = listed(capsys, "slurm")
    assert "partition: null" in shown
    assert "use: behind `run -m` launcher=slurm" in shown


def test_an_unknown_name_is_met_with_the_nearest(capsys: Captured) -> None:
    assert "did you mean 'pruning/magnitude'?" in refused(capsys, "list", "pruning/magnitud")
    assert "did you mean 'alexnet'?" in refused(capsys, "list", "alexnt")
    assert "did you mean 'techniques'?" in refused(capsys, "list", "technique")


@pytest.mark.parametrize("what", ["table5", "techniques"])
def test_listing_imports_no_torch(what: str) -> None:
    code = (
        f"import sys; from compressbench.cli.main import main; main(['list', '{what}']); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("False\n")


@pytest.mark.slow
def test_a_recipe_outside_any_table_reports_its_own_runs(capsys: Captured) -> None:
    named = recipe("extends: quickstart\nlimits: {epochs: 1, steps: 1}\n")
    recipe("extends: quickstart\n", "other")
    assert main(["run", named, "tracking=off"]) == 0
    capsys.readouterr()
    assert main(["report", "mine", "--format", "csv"]) == 0
    rows = capsys.readouterr().out.splitlines()[1:]
    assert len(rows) == 1
    assert "mine" in rows[0]
    assert "digits" in rows[0]
    assert main(["report", "quickstart", "--format", "markdown"]) == 0
    printed = capsys.readouterr().out
    assert "# quickstart" in printed
    assert "not run" in printed
    assert "did you mean 'quickstart'?" in refused(capsys, "report", "quickstrat")


def test_one_row_of_a_table_is_reported_alone(capsys: Captured) -> None:
    assert main(["report", "table5/mnist_l1norm_50", "--format", "csv"]) == 0
    rows = capsys.readouterr().out.splitlines()[1:]
    assert rows
    assert all("mnist_l1norm_50" in row for row in rows)
