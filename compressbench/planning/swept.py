"""What varies in a sweep, read from its command line."""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser

from compressbench.core.errors import PlanError
from compressbench.core.identity import digest
from compressbench.core.sweep import Place
from compressbench.planning.errors import for_people
from compressbench.planning.overrides import as_written, without_plus

WHERE = ("outputs=", "tracking=", "tracking.", "hydra")
"""Overrides that say where and how a sweep is run, not what its results are."""


class Sweep(NamedTuple):
    """identity: of what it computes. fixed: the overrides all runs share, as written. values: by key
    (`stages.prune.ratio`), in order."""

    identity: str
    fixed: list[str]
    values: dict[str, list[str]]

    def first(self) -> list[str]:
        """Return the overrides of the first run."""
        return [*self.fixed, *(f"{key}={values[0]}" for key, values in self.values.items())]

    def place(self, index: int, overrides: list[str], parallel: bool) -> Place:
        """Return the place of the run that Hydra counts as `index`, which has these overrides."""
        given = dict(override.lstrip("+").split("=", 1) for override in overrides if "=" in override)
        values = {key: given[key] for key in self.values if key in given}
        return Place(self.identity, index + 1, prod(map(len, self.values.values())), values, parallel)


def sweep_id(overrides: list[str]) -> str:
    """Return the identity of a sweep: of all that was written but where and how it is run."""
    return digest(sorted(override for override in overrides if not override.startswith(WHERE)), length=8)


def read_sweep(overrides: list[str], loader: ConfigLoaderImpl) -> Sweep:
    """Return what varies. PlanError for a sweep over nothing. loader: what `glob(...)` is looked up with."""
    sweep = Sweep(sweep_id(overrides), [], {})
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
