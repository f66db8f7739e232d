"""Identities: hashes of what matters to a result, and of nothing else.

What matters is every field of a dataclass except (a) fields marked `identity=False` in their metadata
(where a dataset lies, how many workers read it) and (b) fields that still have the default the class
declares for them. Rule (b) lets a field be added later without changing the identity of older results:
its declared default is the old behaviour. Fields without a declared default are always part of it.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
from typing import Any

from compressbench.core.dotted import dotted_path
from compressbench.core.plugins import plugin_of

NOT_IDENTITY: dict[str, Any] = {"identity": False}
"""Field metadata for what does not change a result."""


def essence(value: Any) -> Any:
    """Return the JSON-able part of `value` that decides a result (see the module's docstring)."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        found = {}
        for field in dataclasses.fields(value):
            content = getattr(value, field.name)
            if not field.metadata.get("identity", True) or content == _declared_default(field):
                continue
            found[field.name] = essence(content)
        return found
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, dict):
        return {str(key): essence(content) for key, content in sorted(value.items())}
    if isinstance(value, list | tuple):
        return [essence(content) for content in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"no identity for a {type(value).__name__}")


def raised(thing: Any) -> list[Any]:
    """Return the `version` of what makes results, in a list that is empty for the first one; then its `origin`.

    It is raised when a change of the code changes results; what has none, or 1, is identified as it always was.
    """
    version: int = getattr(thing, "version", 1)
    return [*([version] if version > 1 else []), *origin(dotted_path(type(thing)))]


def origin(dotted: str) -> list[str]:
    """Return what identifies code that is not ours: its dotted path, its plugin's version. Nothing for ours."""
    plugin = plugin_of(dotted)
    return [dotted, plugin.version] if plugin else []


def digest(value: Any, length: int = 16) -> str:
    """Return `length` hexadecimal digits that identify `essence(value)`."""
    text = json.dumps(essence(value), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def _declared_default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default  # MISSING equals nothing but itself, so fields without default stay
