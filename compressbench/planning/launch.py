"""`compressbench run`: Hydra's command line, sweeps and launchers, without its tracebacks."""

from __future__ import annotations

import os
import sys
import traceback
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from contextlib import ExitStack
from typing import Any, NoReturn

from hydra._internal.hydra import Hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from compressbench.core.errors import PlanError, RunError, lack_of_memory, suggestion
from compressbench.core.sweep import Outcome, Place
from compressbench.planning.compose import CONFIG, completed, config_loader
from compressbench.planning.diagnose import all_faults
from compressbench.planning.errors import for_people
from compressbench.planning.overrides import as_written, without_plus
from compressbench.planning.settings import key_faults, settings
from compressbench.planning.swept import Sweep, read_sweep
from compressbench.planning.whole_lines import whole_lines

Job = Callable[[DictConfig, list[str], Place | None], str]
"""Called with the composed configuration of one run, its overrides as they were written, and its place in a sweep, if
it is part of one. Returns the run's folder below `outputs/runs`."""

DONE, FAILED, BAD_INPUT = 0, 1, 2


def parse_arguments(arguments: list[str]) -> Namespace:
    """Return flags and `overrides`, which may come in any order. PlanError if they cannot be understood."""
    parser = ArgumentParser("compressbench run", add_help=False, allow_abbrev=False)
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--multirun", "-m", action="store_true")
    parser.add_argument("--cfg", "-c", choices=("job", "hydra", "all"))
    parser.add_argument("--package", "-p")
    parser.add_argument("--resolve", action="store_true")
    parser.add_argument(
        "--info", "-i", nargs="?", const="all", choices=("all", "config", "defaults-tree", "searchpath")
    )
    parser.add_argument("--config-dir", "-cd")

    def refuse(message: str) -> NoReturn:
        raise PlanError.of("", message)

    parser.error = refuse  # type: ignore[method-assign]
    given = parser.parse_intermixed_args(arguments)
    if (given.resolve or given.package) and not given.cfg:
        refuse("--resolve and --package go with --cfg")
    given.shows = bool(given.cfg or given.info)
    given.multirun = given.multirun or "hydra.mode=MULTIRUN" in given.overrides
    return given


def launch(arguments: list[str], job: Job, ended: Callable[[list[Outcome]], None] = lambda outcomes: None) -> int:
    """Carry out `compressbench run ARGUMENTS` and return its exit code.

    A single run's exceptions come out as they are. In a multirun a job that fails says so on stderr, the
    others go on, and the worst exit code is returned; `ended` is told how each run ended. `job` must be
    importable, because launchers send it to other processes. Raises PlanError, in words for people, for
    anything that cannot be composed, and for a sweep over nothing.
    """
    given = parse_arguments(arguments)
    loader = config_loader(given.config_dir)
    sweep = read_sweep(given.overrides, loader) if given.multirun else None
    first = sweep.first() if sweep else given.overrides
    once = _Job(job)
    try:
        with for_people():
            hydra = Hydra("compressbench", loader)
            if given.shows:
                _show(hydra, without_plus(first), given)
                return DONE
            overrides = without_plus(given.overrides)
            if sweep:
                outcomes = _multirun(hydra, overrides, _Job(job, sweep))
                ended(outcomes)
                return max(outcome.code for outcome in outcomes)
            hydra.run(CONFIG, once, [*overrides, "hydra.mode=RUN"])
    except PlanError as error:  # of composing: what a job raises is kept
        raise PlanError(all_faults(first, error.faults, given.config_dir)) from error
    if once.error is not None:
        raise once.error
    return DONE


def _show(hydra: Hydra, overrides: list[str], given: Namespace) -> None:
    """Print what a flag asks for; of a sweep, its first run."""
    if given.info:
        hydra.show_info(given.info, CONFIG, overrides)
    elif given.cfg == "job":
        print(_job_config(hydra, overrides, given), end="")
    else:
        hydra.show_cfg(CONFIG, overrides, given.cfg, given.package, given.resolve)


def _job_config(hydra: Hydra, overrides: list[str], given: Namespace) -> str:
    """Return what the job gets, as YAML: with the defaults of every technique."""
    composed = hydra.compose_config(CONFIG, overrides, RunMode.RUN)
    config = completed(composed, composed.hydra)
    if given.resolve:
        OmegaConf.resolve(config)
    part = OmegaConf.select(config, given.package) if given.package else config
    if part is None:
        raise PlanError.of(f"--package {given.package}", f"is not there; {suggestion(given.package, map(str, config))}")
    return OmegaConf.to_yaml(part) if OmegaConf.is_config(part) else f"{part}\n"


def _multirun(hydra: Hydra, overrides: list[str], job: _Job) -> list[Outcome]:
    try:
        batches = hydra.multirun(CONFIG, job, [*overrides, "hydra.mode=MULTIRUN"])
    except BrokenExecutor:  # a worker that was killed
        raise
    except RuntimeError as error:  # jobs keep their exceptions, so it is the launcher's
        raise PlanError.of("hydra/launcher", f"cannot start jobs here: {error}") from error
    outcomes: list[Outcome] = [each.return_value for batch in batches for each in batch]
    failed = sum(outcome.code != DONE for outcome in outcomes)
    if failed:
        print(f"{failed} of {len(outcomes)} runs failed", file=sys.stderr)
    return outcomes


class _Job:
    """What Hydra calls for every run, here or in a launcher's process."""

    def __init__(self, job: Job, sweep: Sweep | None = None):
        self.job, self.sweep, self.launcher = job, sweep, os.getpid()
        self.error: BaseException | None = None

    def __call__(self, composed: DictConfig) -> Outcome | None:
        """Return how a run of a sweep ended. An exception is kept in `error`, or, of many runs, said on stderr."""
        hydra: Any = HydraConfig.get()
        written: Any = OmegaConf.to_container(hydra.overrides.task, resolve=False)
        overrides = as_written(written)
        place = self.sweep and self.sweep.place(int(hydra.job.num), overrides, parallel=os.getpid() != self.launcher)
        with ExitStack() as stack:
            if place and place.parallel:
                stack.enter_context(whole_lines(place.name))
            try:
                config = completed(composed, hydra)
                _check(config, overrides)
                run = self.job(config, overrides, place)
            except (Exception, SystemExit) as error:
                if not place:
                    self.error = error
                    return None
                return Outcome(place.number, place.values, *_said(error, "" if place.parallel else f"{place.name}: "))
        return Outcome(place.number, place.values, run=run) if place else None


def _check(config: DictConfig, overrides: list[str]) -> None:
    """Raise PlanError, with all faults, for what would trip up whoever only reads the configuration."""
    try:
        settings(config)
        OmegaConf.to_container(config, resolve=True)
        sound = not key_faults(config)
    except (PlanError, OmegaConfBaseException):
        sound = False
    if not sound:
        from compressbench.planning.build import build  # imports torch

        raise PlanError(build(config, overrides)[1])


def _said(error: BaseException, who: str) -> tuple[int, str]:
    """Say on stderr why a run failed; return its exit code, and the reason in one line. who: what its lines start
    with."""
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else FAILED if error.code else DONE
        return code, f"it was ended with {error.code}" if code else ""
    if isinstance(error, Exception):
        error = lack_of_memory(error) or error
    if isinstance(error, PlanError | RunError):
        lines = str(error).splitlines()
        print("\n".join(f"{who}error: {line}" for line in lines), file=sys.stderr)
        return BAD_INPUT if isinstance(error, PlanError) else FAILED, "; ".join(lines)
    print(f"{who}error:\n{''.join(traceback.format_exception(error))}", file=sys.stderr)
    return FAILED, f"{type(error).__name__}: {error}".partition("\n")[0]
