"""Stored JSON that carries a digest of itself, so that damage and edits are found when it is used."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

DIGEST = "digest"


def sealed(content: dict[str, Any], indent: int | None = None) -> str:
    """Return the content as JSON, with a digest as its last key."""
    return json.dumps({**content, DIGEST: _digest(content)}, indent=indent)


def unsealed(text: str | bytes) -> dict[str, Any]:
    """Return what stands in a text of `sealed`. ValueError if it is damaged, was edited, or is no JSON object.

    A text without a digest is taken as it is: older versions wrote none, and people may write records themselves.
    """
    try:
        content = json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(content, dict):
        raise ValueError("it is no JSON object")
    expected = content.pop(DIGEST, None)
    if expected is not None and expected != _digest(content):
        raise ValueError("it is damaged or was edited: its digest is another one")
    return content


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file. OSError if it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stamp(path: Path) -> list[int]:
    """Return what changes whenever a file, or the list of names in a folder, changes: its size and time in ns."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(json.loads(json.dumps(content)), sort_keys=True).encode()).hexdigest()
