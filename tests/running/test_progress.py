"""Progress is bars on a terminal and plain lines anywhere else."""

import io

from rich.console import Console

from compressbench.running.progress import ConsoleProgress, NamedProgress


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
