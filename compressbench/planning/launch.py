"""Sweeps: which runs a command stands for in Hydra's grammar, and Hydra's launchers that start them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor
from functools import partial
from itertools import product
from typing import Any

from hydra._internal.callbacks import Callbacks
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.core.utils import JobRuntime
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig

from compressbench.core.errors import PlanError
from compressbench.core.identity import digest
from compressbench.core.sweep import Outcome, Place, Point, Sweep
from compressbench.planning.compose import CONFIG, completed, config_loader
from compressbench.planning.diagnose import all_faults
from compressbench.planning.errors import for_people
from compressbench.planning.overrides import readable
from compressbench.planning.prepare import Prepared, prepared

Job = Callable[[Callable[[], Prepared], Place], Outcome]
"""Called with what prepares one run, which raises PlanError, and its place in the sweep. Raises nothing."""

NAME = "sweep.name="
"""The override that gives a sweep a name."""
WHERE = ("outputs=", "tracking=", "tracking.", "hydra", NAME)
"""Overrides that say where and how a sweep is run, not what its results are."""
SWEEPER = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"


def sweep_id(overrides: Sequence[str]) -> str:
    """Return the identity of a sweep: of all that was written but where and how it is run."""
    return digest(sorted(override for override in overrides if not override.startswith(WHERE)), length=8)


def read_sweep(overrides: Sequence[str], further: str | None = None) -> Sweep:
    """Return the runs that overrides stand for: every combination of the values they list. PlanError for none.

    further: as `compose` takes it; `glob(...)` finds what is in there too.
    """
    name = _name(overrides)
    words = readable(override for override in overrides if not override.startswith(NAME))
    with for_people():
        parsed = OverridesParser.create(config_loader=config_loader(further)).parse_overrides(words)
    launcher = [override.input_line or "" for override in parsed if override.is_hydra_override()]
    choices = [_choices(override) for override in parsed if not override.is_hydra_override()]
    points = [
        Point([text for text, _ in chosen], {key: text.partition("=")[2] for text, key in chosen if key})
        for chosen in product(*choices)
    ]
    shared = [each[0][0] for each in choices if each[0][1] in (None, "recipe")]
    return Sweep(sweep_id(overrides), points, shared, launcher, name)


def _name(overrides: Sequence[str]) -> str:
    """Return what the user calls the sweep, empty if nothing. PlanError for what is no name."""
    names = [override.removeprefix(NAME) for override in overrides if override.startswith(NAME)]
    for name in names:
        if not re.fullmatch(r"[\w.-]+", name):
            raise PlanError.of("sweep.name", f"is {name!r}; allowed: letters, digits, _, - and .")
    return names[-1] if names else ""


def _choices(override: Override) -> list[tuple[str, str | None]]:
    """Return the overrides that one stands for, each with its key if there may be several."""
    written = override.input_line or ""
    if not override.is_discrete_sweep():
        return [(written, None)]
    found = [f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()]
    if not found:
        raise PlanError.of(written, "matches nothing, so there is nothing to run")
    return [(text, override.key_or_group) for text in found]


def launch(sweep: Sweep, job: Job, further: str | None = None) -> list[Outcome]:
    """Have every run of a sweep carried out by `job`, by the launcher that its overrides name; return how each ended.

    `job` must be importable, because launchers send it to other processes. Raises PlanError, in words for people and
    before anything is started, if any run cannot be composed.
    """
    loader, first = config_loader(further), [*sweep.points[0].overrides, *sweep.launcher]
    try:
        with for_people():
            words = [*first, "hydra.mode=MULTIRUN"]
            master = loader.load_configuration(CONFIG, words, RunMode.RUN, from_shell=False)
            runs = [point.overrides for point in sweep.points]
            for run in runs:
                loader.load_sweep_config(master, run)
            JobRuntime.instance().set("name", CONFIG)
            context = HydraContext(config_loader=loader, callbacks=Callbacks(master))
            launcher = Plugins.instance().instantiate_launcher(context, _Point(sweep, job, further), master)
            size = _batch_size(master, len(runs))
            return [
                each.return_value
                for start in range(0, len(runs), size)
                for each in launcher.launch(runs[start : start + size], initial_job_idx=start)
            ]
    except PlanError as error:
        raise PlanError(all_faults(first, error.faults, further)) from error
    except BrokenExecutor:  # a worker that was killed
        raise
    except RuntimeError as error:  # jobs keep their exceptions, so it is the launcher's
        raise PlanError.of("hydra/launcher", f"cannot start jobs here: {error}") from error


def _batch_size(master: DictConfig, runs: int) -> int:
    """Return how many runs the launcher gets at once. PlanError if Hydra is told to choose the runs in another way."""
    sweeper: Any = master.hydra.sweeper
    if sweeper.get("_target_") != SWEEPER:
        what = f"is {sweeper.get('_target_')}, but a sweep runs the values that are written; allowed: basic"
        raise PlanError.of("hydra/sweeper", what)
    return int(sweeper.max_batch_size or runs)


class _Point:
    """What Hydra calls for every run, here or in a launcher's process."""

    def __init__(self, sweep: Sweep, job: Job, further: str | None):
        self.sweep, self.job, self.further, self.launcher = sweep, job, further, os.getpid()

    def __call__(self, composed: DictConfig) -> Outcome:
        hydra: Any = HydraConfig.get()
        index = int(hydra.job.num)
        place = self.sweep.place(index, parallel=os.getpid() != self.launcher)
        return self.job(partial(_prepared, composed, hydra, self.sweep.points[index].overrides, self.further), place)


def _prepared(composed: DictConfig, hydra: DictConfig, overrides: list[str], further: str | None) -> Prepared:
    return prepared(completed(composed, hydra, further), overrides)
