"""How ours is installed, for messages about optional packages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
"""The folder around the package: that of the repository, unless we were installed as a wheel."""


def missing(packages: list[str], extra: str) -> str:
    """Return the sentence for packages that are not there, with the extra of ours that brings them and how to get it.

    The bare name on the package index is another project's, so the command says where ours comes from.
    """
    if (CHECKOUT / "pyproject.toml").is_file():
        command = f"pip install -e '.[{extra}]' in {CHECKOUT}"
    else:
        command = f"pip install 'compressbench[{extra}] @ {_origin() or 'ADDRESS OF ITS WHEEL OR REPOSITORY'}'"
    return f"{', '.join(packages)} cannot be imported; install the extra `{extra}` of compressbench: {command}"


def _origin() -> str | None:
    """Return where pip installed ours from, None if it does not say."""
    from importlib.metadata import PackageNotFoundError, distribution  # 40 ms that only this message should cost

    try:
        noted = distribution("compressbench").read_text("direct_url.json")
        found: dict[str, Any] = json.loads(noted or "{}")
    except (PackageNotFoundError, ValueError):
        return None
    version_control = found.get("vcs_info", {}).get("vcs")
    return f"{version_control}+{found['url']}" if version_control else found.get("url")
