"""Whole lines: runs that print at the same time do not tear each other's lines, and every line says whose it is."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from typing import TextIO


@contextmanager
def whole_lines(name: str) -> Iterator[None]:
    """Let everything this process prints come out line by line, `name: ` before each."""
    with ExitStack() as stack:
        for redirect, stream in ((redirect_stdout, sys.stdout), (redirect_stderr, sys.stderr)):
            lines = _Lines(stream, name)
            stack.callback(lines.close)
            stack.enter_context(redirect(lines))
        yield


class _Lines(io.TextIOBase):
    """Keeps back what is no whole line yet. Blank lines, which would say nothing but whose they are, are left out."""

    def __init__(self, stream: TextIO, name: str):
        self.stream, self.name, self.rest = stream, name, ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        whole, newline, self.rest = (self.rest + text).rpartition("\n")
        if newline:
            self._put(whole)
        return len(text)

    def close(self) -> None:
        if not self.closed:
            self._put(self.rest)
        super().close()

    def _put(self, text: str) -> None:
        """Hand lines over to the system in one piece: what goes through Python's buffers may be torn there."""
        named = "".join(f"{self.name}: {line}\n" for line in text.splitlines() if line.strip())
        left = named.encode(errors="backslashreplace")
        while left:
            left = left[os.write(self.stream.fileno(), left) :]
