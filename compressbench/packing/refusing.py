"""Whatever is wrong with a file, in one sentence that names it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compressbench.packing.container import PackedFileError

LONGEST_REASON = 300
"""Letters of what went wrong."""


@contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong with a file's content into one PackedFileError that names the file.

    Whatever: a file may hold anything, and so may torch and the coders raise anything.
    """
    try:
        yield
    except PackedFileError as error:
        if str(error).startswith(str(path)):
            raise
        raise PackedFileError(_sentence(path, str(error))) from error
    except KeyError as error:
        raise PackedFileError(_sentence(path, f"there is no {error}")) from error
    except OSError as error:
        raise PackedFileError(_sentence(path, error.strerror or str(error))) from error
    except Exception as error:
        raise PackedFileError(_sentence(path, str(error) or type(error).__name__)) from error


def _sentence(path: Path, reason: str) -> str:
    return f"{path} cannot be read as a packed file: {printable(reason, LONGEST_REASON)}"


def printable(text: str, longest: int) -> str:
    """Return what a file says fit for a terminal: not too long, on one line, and nothing that would steer it."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:longest])
