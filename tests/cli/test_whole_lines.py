"""Lines of processes that print at the same time."""

from __future__ import annotations

import subprocess
import sys

import pytest

from compressbench.cli.whole_lines import whole_lines

WRITER = """
import sys
from compressbench.cli.whole_lines import whole_lines
name = sys.argv[1]
with whole_lines(name):
    for number in range(300):
        for part in (name * 40, " ", name * 40, "\\n"):
            sys.stdout.write(part)
            sys.stdout.flush()
"""


def test_lines_of_two_processes_come_out_whole_and_named() -> None:
    both = f"{sys.executable} -c '{WRITER}' a & {sys.executable} -c '{WRITER}' b; wait"
    done = subprocess.run(["bash", "-c", both], capture_output=True, text=True, check=True, timeout=60)
    lines = done.stdout.splitlines()
    wanted = {name: f"{name}: {name * 40} {name * 40}" for name in "ab"}
    assert set(lines) == set(wanted.values())
    assert [lines.count(line) for line in wanted.values()] == [300, 300]


def test_what_is_no_whole_line_at_the_end_is_not_lost_and_blank_lines_are(capfd: pytest.CaptureFixture[str]) -> None:
    with whole_lines("2 of 5"):
        print("one\n\ntwo", end="")
        print("wrong", file=sys.stderr)
    print("three")
    assert capfd.readouterr() == ("2 of 5: one\n2 of 5: two\nthree\n", "2 of 5: wrong\n")
