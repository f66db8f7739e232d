"""What varies in a sweep, read from its command line."""

from __future__ import annotations

from typing import NamedTuple

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser

from compressbench.core.faults import PlanError
from compressbench.planning.errors import for_people
from compressbench.planning.overrides import as_written, without_plus


class Sweep(NamedTuple):
    """fixed: the overrides all runs share, as written. values: by key (`stages.prune.ratio`), in order."""

    fixed: list[str]
    values: dict[str, list[str]]

    def first(self) -> list[str]:
        """Return the overrides of the first run."""
        return [*self.fixed, *(f"{key}={values[0]}" for key, values in self.values.items())]


def read_sweep(overrides: list[str], loader: ConfigLoaderImpl) -> Sweep:
    """Return what varies. PlanError for a sweep over nothing. loader: what `glob(...)` is looked up with."""
    sweep = Sweep([], {})
    with for_people():
        parsed = OverridesParser.create(config_loader=loader).parse_overrides(without_plus(overrides))
    for override in parsed:
        written = as_written([override.input_line or ""])[0]
        if not override.is_discrete_sweep():
            sweep.fixed.append(written)
            continue
        sweep.values[override.key_or_group] = list(override.sweep_string_iterator())
        if not sweep.values[override.key_or_group]:
            raise PlanError.of(written, "matches nothing, so there is nothing to run")
    return sweep
