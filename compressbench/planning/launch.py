"""`compressbench run`: Hydra's command line, sweeps and launchers, without its tracebacks."""

from __future__ import annotations

import sys
import traceback
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from typing import Any, NoReturn

from hydra._internal.hydra import Hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from compressbench.core.faults import PlanError, RunError, lack_of_memory, suggestion
from compressbench.planning.compose import CONFIG, completed, config_loader
from compressbench.planning.errors import for_people
from compressbench.planning.overrides import as_written, without_plus
from compressbench.planning.settings import key_faults, settings
from compressbench.planning.swept import read_sweep

Job = Callable[[DictConfig, list[str]], None]
"""Called with the composed configuration of one run and its overrides as they were written."""

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


def launch(arguments: list[str], job: Job) -> int:
    """Carry out `compressbench run ARGUMENTS` and return its exit code.

    A single run's exceptions come out as they are. In a multirun a job that fails says so on stderr, the
    others go on, and the worst exit code is returned. `job` must be importable, because launchers send it
    to other processes. Raises PlanError, in words for people, for anything that cannot be composed, and for
    a sweep over nothing.
    """
    given = parse_arguments(arguments)
    loader = config_loader(given.config_dir)
    first = read_sweep(given.overrides, loader).first() if given.multirun else given.overrides
    with for_people():
        hydra = Hydra("compressbench", loader)
        if given.shows:
            _show(hydra, without_plus(first), given)
            return DONE
        overrides = without_plus(given.overrides)
        if given.multirun:
            return _multirun(hydra, overrides, job)
        once = _Job(job, many=False)
        hydra.run(CONFIG, once, [*overrides, "hydra.mode=RUN"])
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


def _multirun(hydra: Hydra, overrides: list[str], job: Job) -> int:
    batches = hydra.multirun(CONFIG, _Job(job, many=True), [*overrides, "hydra.mode=MULTIRUN"])
    codes: list[int] = [each.return_value for batch in batches for each in batch]
    failed = [code for code in codes if code != DONE]
    if failed:
        print(f"{len(failed)} of {len(codes)} runs failed", file=sys.stderr)
    return max(codes)


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
        settings(config)
        OmegaConf.to_container(config, resolve=True)
        sound = not key_faults(config)
    except (PlanError, OmegaConfBaseException):
        sound = False
    if not sound:
        from compressbench.planning.build import build  # imports torch

        raise PlanError(build(config, overrides)[1])


def _said(error: BaseException, run: str) -> int:
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else FAILED if error.code else DONE
    if isinstance(error, Exception):
        error = lack_of_memory(error) or error
    if isinstance(error, PlanError | RunError):
        for line in str(error).splitlines():
            print(f"error: {run}: {line}", file=sys.stderr)
        return BAD_INPUT if isinstance(error, PlanError) else FAILED
    print(f"error: {run}:\n{''.join(traceback.format_exception(error))}", file=sys.stderr)
    return FAILED
