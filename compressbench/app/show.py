"""The composed configuration of a run, or of the first run of a sweep, as it is before anything is built."""

from __future__ import annotations

from collections.abc import Sequence


def shown_job(overrides: Sequence[str], further: str | None, package: str | None, resolve: bool) -> str:
    """Return what a run gets, as YAML: with the defaults of every technique. package: a part of it (`stages.prune`)."""
    from compressbench.planning.show import job_config

    return job_config(overrides, further, package, resolve)


def print_hydra(overrides: Sequence[str], further: str | None, package: str | None, resolve: bool, what: str) -> None:
    """Have Hydra print its own part (`hydra`), everything (`all`), or how it came to that (`info all`)."""
    from compressbench.planning.show import print_by_hydra

    print_by_hydra(overrides, further, package, resolve, what)


def first_run(overrides: Sequence[str], further: str | None) -> list[str]:
    """Return the overrides of the first run of a sweep. PlanError for a sweep over nothing."""
    from compressbench.planning.launch import read_sweep

    sweep = read_sweep(overrides, further)
    return [*sweep.points[0].overrides, *sweep.launcher]
