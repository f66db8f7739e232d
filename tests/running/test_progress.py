"""Progress is bars on a terminal and plain lines anywhere else."""

import io

import pytest
from rich.console import Console

from compressbench.running.progress import ConsoleProgress, NamedProgress, notebook_console, shown_on


def shown(terminal: bool) -> str:
    output = io.StringIO()
    console = Console(file=output, force_terminal=terminal, width=120)
    with ConsoleProgress(console) as progress, NamedProgress(progress, "train").task("training", 4) as advance:
        for step in range(4):
            advance(1, f"loss {step}")
    return output.getvalue()


def test_a_terminal_sees_a_bar_with_stage_count_and_note() -> None:
    assert "train: training" in shown(terminal=True)
    assert "4/4" in shown(terminal=True)
    assert "loss 3" in shown(terminal=True)


def test_a_file_gets_no_control_characters_and_no_line_for_work_that_took_no_time() -> None:
    assert shown(terminal=False) == ""


def test_what_goes_to_a_file_or_a_notebook_without_widgets_has_no_control_characters(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compressbench.running.progress.find_spec", lambda name: None)
    for jupyter in (False, True):  # where rich would hand what is printed to IPython
        monkeypatch.setattr("rich.console._is_jupyter", lambda jupyter=jupyter: jupyter)
        console = notebook_console()
        with shown_on(console, "1 of 2") as progress, progress.task("train", 2) as advance:
            monkeypatch.setattr("compressbench.running.progress.SECONDS_BETWEEN_LINES", -1.0)
            advance(1, "loss 2.3")
            advance(1, "loss 2.2")
        out, printed = capsys.readouterr()
        assert out == ""
        assert printed.splitlines()[0] == "1 of 2: train: 1 of 2  loss 2.3"
        assert all(character.isprintable() for character in printed.replace("\n", ""))


def test_a_notebook_with_widgets_has_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compressbench.running.progress.find_spec", lambda name: object())
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    assert ConsoleProgress(notebook_console()).has_bars


def test_nowhere_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_on(None, "") as progress, progress.task("train", 2) as advance:
        advance(1, "loss 2.3")
    assert capsys.readouterr() == ("", "")
