"""`compressbench run`: Hydra's command line, sweeps and launchers, without its tracebacks."""

from __future__ import annotations

import sys
import traceback
from argparse import Namespace
from collections.abc import Callable
from typing import Any, NoReturn

from hydra._internal.hydra import Hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from compressbench.core.faults import PlanError, RunError, suggestion
from compressbench.planning.compose import CONFIG, completed, config_loader
from compressbench.planning.errors import for_people
from compressbench.planning.overrides import as_written, without_plus
from compressbench.planning.settings import settings_faults

Job = Callable[[DictConfig, list[str]], None]
"""Called with the composed configuration of one run and its overrides as they were written."""

DONE, FAILED, BAD_INPUT = 0, 1, 2


def is_multirun(arguments: list[str]) -> bool:
    """Return whether the command line asks for several runs. PlanError if it cannot be understood."""
    return bool(_parsed(arguments).multirun)


def launch(arguments: list[str], job: Job) -> int:
    """Carry out `compressbench run ARGUMENTS` and return its exit code.

    Flags and overrides may come in any order. A single run's exceptions come out as they are. In a
    multirun a job that fails says so on stderr, the others go on, and the worst exit code is returned.
    `job` must be importable, because launchers send it to other processes. Raises PlanError, in words for
    people, for anything that cannot be composed, and for a sweep over nothing.
    """
    given = _parsed(arguments)
    given.overrides = without_plus(given.overrides)
    with for_people():
        hydra = Hydra("compressbench", config_loader(given.config_path, given.config_dir))
        name = given.config_name or CONFIG
        if _shown(hydra, name, given):
            return DONE
        if given.multirun:
            return _multirun(hydra, name, given.overrides, job)
        once = _Job(job, many=False)
        hydra.run(name, once, [*given.overrides, "hydra.mode=RUN"])
    if once.error is not None:
        raise once.error
    return DONE


def _parsed(arguments: list[str]) -> Namespace:
    parser = get_args_parser()

    def refuse(message: str) -> NoReturn:
        raise PlanError.of("", message)

    parser.error = refuse  # type: ignore[method-assign]
    given = parser.parse_intermixed_args(arguments)
    if given.shell_completion:
        refuse("--shell-completion is not offered; `compressbench completion` says how to turn completion on")
    if given.experimental_rerun:
        refuse("--experimental-rerun is not offered; a run that was killed goes on when it is started again")
    if given.resolve and not given.cfg:
        refuse("--resolve goes with --cfg")
    given.multirun = given.multirun or "hydra.mode=MULTIRUN" in given.overrides
    return given


def _shown(hydra: Hydra, name: str, given: Namespace) -> bool:
    """Print what a flag asks for, and return whether one did."""
    if given.cfg == "job":
        print(_job_config(hydra, name, given), end="")
    elif given.cfg:
        hydra.show_cfg(name, given.overrides, given.cfg, given.package, given.resolve)
    elif given.info:
        hydra.show_info(given.info, name, given.overrides)
    elif given.hydra_help:
        hydra.hydra_help(name, get_args_parser(), given)
    elif given.help:
        hydra.app_help(name, get_args_parser(), given)
    else:
        return False
    return True


def _job_config(hydra: Hydra, name: str, given: Namespace) -> str:
    """Return what the job gets, as YAML: with the defaults of every technique."""
    composed = hydra.compose_config(name, given.overrides, RunMode.RUN)
    config = completed(composed, composed.hydra)
    if given.resolve:
        OmegaConf.resolve(config)
    if given.package and given.package != "_global_":
        part = OmegaConf.select(config, given.package)
        if part is None:
            raise PlanError.of(
                f"--package {given.package}", f"is not there; {suggestion(given.package, map(str, config))}"
            )
        return OmegaConf.to_yaml(part) if OmegaConf.is_config(part) else f"{part}\n"
    return OmegaConf.to_yaml(config)


def _multirun(hydra: Hydra, name: str, overrides: list[str], job: Job) -> int:
    for override in OverridesParser.create(config_loader=hydra.config_loader).parse_overrides(overrides):
        if override.is_discrete_sweep() and not list(override.sweep_string_iterator()):
            where = as_written([override.input_line or override.key_or_group])[0]
            raise PlanError.of(where, "matches nothing, so there is nothing to run")
    batches = hydra.multirun(name, _Job(job, many=True), [*overrides, "hydra.mode=MULTIRUN"])
    codes = [each.return_value for batch in batches or () for each in batch]
    if not codes:
        raise PlanError.of("", "the sweep has no runs")
    failed = [code for code in codes if code != DONE]
    if failed:
        print(f"{len(failed)} of {len(codes)} runs failed", file=sys.stderr)
    worst: int = max(codes)
    return worst


class _Job:
    """What Hydra calls for every run, here or in a launcher's process."""

    def __init__(self, job: Job, many: bool):
        self.job, self.many = job, many
        self.error: BaseException | None = None

    def __call__(self, composed: DictConfig) -> int:
        """Return the exit code. An exception is kept in `error`, or, of many runs, said on stderr."""
        hydra: Any = HydraConfig.get()
        written: Any = OmegaConf.to_container(hydra.overrides.task, resolve=False)
        overrides = as_written(written)
        try:
            config = completed(composed, hydra)
            _check(config, overrides)
            self.job(config, overrides)
        except (Exception, SystemExit) as error:
            if not self.many:
                self.error = error
                return FAILED
            return _said(error, f"run {hydra.job.num} ({' '.join(overrides)})")
        return DONE


def _check(config: DictConfig, overrides: list[str]) -> None:
    """Raise PlanError, with all faults, for what would trip up whoever only reads the configuration."""
    try:
        OmegaConf.to_container(config, resolve=True)
        sound = not settings_faults(config)
    except (OmegaConfBaseException, HydraException):
        sound = False
    if not sound:
        from compressbench.planning.build import build  # imports torch

        raise PlanError(build(config, overrides)[1])


def _said(error: BaseException, run: str) -> int:
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else FAILED if error.code else DONE
    if isinstance(error, PlanError | RunError):
        for line in str(error).splitlines():
            print(f"error: {run}: {line}", file=sys.stderr)
        return BAD_INPUT if isinstance(error, PlanError) else FAILED
    print(f"error: {run}:\n{''.join(traceback.format_exception(error))}", file=sys.stderr)
    return FAILED
