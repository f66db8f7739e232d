"""What varies in a sweep, read from its command line."""

from __future__ import annotations

from hydra.core.override_parser.overrides_parser import OverridesParser

from compressbench.planning.errors import for_people
from compressbench.planning.overrides import without_plus


def swept_keys(overrides: list[str]) -> list[str]:
    """Return the keys that take several values, as they were written (`stages.prune.ratio`), in order."""
    with for_people():
        parsed = OverridesParser.create().parse_overrides(without_plus(overrides))
    return [override.key_or_group for override in parsed if override.is_sweep_override()]
