"""Sweeps: which runs a command stands for in Hydra's grammar, and Hydra's launchers that start them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from subprocess import CalledProcessError
from typing import Any

from hydra._internal.callbacks import Callbacks
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.core.utils import JobRuntime
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig

from compressbench.core.errors import Fault, PlanError, RunError
from compressbench.core.identity import digest
from compressbench.core.sweep import Outcome, Place, Point, Sweep
from compressbench.core.temporary import machine
from compressbench.planning.axes import Axes, axes_faults, axes_of, points_of
from compressbench.planning.compose import CONFIG, completed, config_loader
from compressbench.planning.diagnose import all_faults
from compressbench.planning.errors import for_people
from compressbench.planning.launchers import KEY, end_workers, fill_in, is_of_launcher, take_gpu
from compressbench.planning.overrides import readable, written
from compressbench.planning.prepare import Prepared, prepared

Job = Callable[[Callable[[], Prepared], Place], Outcome]
"""Called with what prepares one run, which raises PlanError, and its place in the sweep. Raises nothing."""

NAME = "sweep.name="
"""The override that gives a sweep a name."""
WHERE = ("outputs=", "cache=", "tracking=", "tracking.", "hydra", "launcher=", "launcher.", "+launcher.", NAME)
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
    launcher = _of_one_launcher([override for override in parsed if _of_launcher(override)])
    choices = [_choices(override) for override in parsed if not _of_launcher(override)]
    given = [
        Point([text for text, _ in chosen], {key: text.partition("=")[2] for text, key in chosen if key})
        for chosen in product(*choices)
    ]
    first = {_recipe(point): point.overrides for point in reversed(given)}
    axes = {recipe: axes_of(words, further) for recipe, words in reversed(first.items())}
    points = [each for point in given for each in points_of(point, axes[_recipe(point)])]
    shared = [each[0][0] for each in choices if each[0][1] in (None, "recipe")]
    return Sweep(sweep_id([*overrides, *_words(axes)]), points, shared, launcher, name, axes)


def faults_of_axes(sweep: Sweep, further: str | None = None) -> list[Fault]:
    """Return what is wrong with what the recipes of a sweep say shall be swept, before any of it is run."""
    found: list[Fault] = []
    for recipe, point in {_recipe(point): point for point in reversed(sweep.points)}.items():
        own = [text for text in point.overrides if text.partition("=")[0] not in sweep.axes.get(recipe, {})]
        found += axes_faults(own, sweep.axes.get(recipe, {}), further)
    return list(dict.fromkeys(found))


def _recipe(point: Point) -> str:
    """Return the override that names a point's recipe, empty if there is none."""
    return next((text for text in reversed(point.overrides) if text.startswith("recipe=")), "")


def _words(axes: dict[str, Axes]) -> list[str]:
    """Return what the recipes' axes would be on the command line: they are as much part of a sweep's identity."""
    every = {recipe: [f"{key}={','.join(values)}" for key, values in own.items()] for recipe, own in axes.items()}
    if len({tuple(words) for words in every.values()}) == 1:
        return next(iter(every.values()))
    return [f"{recipe}: {text}" for recipe, words in every.items() for text in words]


def _name(overrides: Sequence[str]) -> str:
    """Return what the user calls the sweep, empty if nothing. PlanError for what is no name."""
    names = [override.removeprefix(NAME) for override in overrides if override.startswith(NAME)]
    for name in names:
        if not re.fullmatch(r"[\w.-]+", name):
            raise PlanError.of("sweep.name", f"is {name!r}; allowed: letters, digits, _, - and .")
    return names[-1] if names else ""


def _of_launcher(override: Override) -> bool:
    return bool(override.is_hydra_override()) or is_of_launcher(override.key_or_group)


def _of_one_launcher(words: list[Override]) -> list[str]:
    """Return the overrides of a launcher. PlanError if one has several values, or is of a launcher that none names."""
    for word in words:
        if word.is_sweep_override():
            raise PlanError.of(word.input_line or "", "has several values, but a sweep has one launcher")
    keys = [word.key_or_group for word in words]
    if further := [key for key in keys if key.startswith(f"{KEY}.") and KEY not in keys]:
        raise PlanError.of(further[0], "is said of no launcher; write launcher=local, slurm or ray beside it")
    return [word.input_line or "" for word in words]


def _choices(override: Override) -> list[tuple[str, str | None]]:
    """Return the overrides that one stands for, each with its key if there may be several."""
    written = override.input_line or ""
    if not override.is_discrete_sweep():
        return [(written, None)]
    found = [f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()]
    if not found:
        raise PlanError.of(written, "matches nothing, so there is nothing to run")
    return [(text, override.key_or_group) for text in found]


def launch(
    sweep: Sweep, job: Job, further: str | None = None, say: Callable[[str], None] = lambda line: None
) -> list[Outcome]:
    """Have every run of a sweep carried out by `job`, by the launcher that its overrides name; return how each ended.

    `job` must be importable, because launchers send it to other processes. say: told in a line how runs are started.
    Raises PlanError, in words for people and before anything is started, if any run cannot be composed, and RunError if
    the launcher lost a run.
    """
    loader, first = config_loader(further), [*sweep.points[0].overrides, *sweep.launcher]
    try:
        with for_people():
            words = [*first, "hydra.mode=MULTIRUN"]
            master = loader.load_configuration(CONFIG, words, RunMode.RUN, from_shell=False)
            ours = [word for word in sweep.launcher if is_of_launcher(word.partition("=")[0])]
            ours.append(
                f"hydra.sweep.dir={written(os.path.abspath(master.hydra.sweep.dir))}"
            )  # workers may be elsewhere
            runs = [[*point.overrides, *ours] for point in sweep.points]
            for run in runs:
                loader.load_sweep_config(master, run)
            JobRuntime.instance().set("name", CONFIG)
            context = HydraContext(config_loader=loader, callbacks=Callbacks(master))
            line, gpus = fill_in(master, len(runs))
            size = _batch_size(master, len(runs))
            task = _Point(sweep, job, further, gpus)
            launcher = Plugins.instance().instantiate_launcher(context, task, master)
            if line:
                say(line)
            return [ended for start in range(0, len(runs), size) for ended in _launched(launcher, runs, start, size)]
    except PlanError as error:
        raise PlanError(all_faults(first, error.faults, further)) from error
    finally:
        end_workers()


def _launched(launcher: Launcher, runs: list[list[str]], start: int, size: int) -> list[Outcome]:
    """Return how the runs from `start` on ended, at most `size` of them. Runs keep their own exceptions, so what comes
    is the launcher's: PlanError if it starts nothing, RunError if it lost a run."""
    try:
        return [each.return_value for each in launcher.launch(runs[start : start + size], initial_job_idx=start)]
    except Exception as error:
        text = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        refused = isinstance(error, ConnectionError) or isinstance(error.__cause__, CalledProcessError)
        if refused or type(error) is RuntimeError:
            raise PlanError.of(KEY, f"cannot start jobs here: {text}") from error
        if not isinstance(error, RuntimeError) and type(error).__module__.partition(".")[0] != "ray":
            raise
        raise RunError(f"a run was lost by its launcher: {text}; the same command finishes what is missing") from error


def _batch_size(master: DictConfig, runs: int) -> int:
    """Return how many runs the launcher gets at once. PlanError if Hydra is told to choose the runs in another way."""
    sweeper: Any = master.hydra.sweeper
    if sweeper.get("_target_") != SWEEPER:
        what = f"is {sweeper.get('_target_')}, but a sweep runs the values that are written; allowed: basic"
        raise PlanError.of("hydra/sweeper", what)
    return int(sweeper.max_batch_size or runs)


class _Point:
    """What Hydra calls for every run, here or in a launcher's process."""

    def __init__(self, sweep: Sweep, job: Job, further: str | None, gpus: list[str]):
        self.sweep, self.job, self.further, self.gpus = sweep, job, further, gpus
        self.launcher, self.folder = (machine(), os.getpid()), os.getcwd()
        self.environment = {key: value for key, value in os.environ.items() if key.startswith("COMPRESSBENCH_")}

    def __call__(self, composed: DictConfig) -> Outcome:
        hydra: Any = HydraConfig.get()
        index = int(hydra.job.num)
        parallel = self.launcher != (machine(), os.getpid())
        if parallel:
            os.chdir(self.folder)
            os.environ.update(self.environment)
            take_gpu(self.gpus)
        place = self.sweep.place(index, parallel)
        return self.job(partial(_prepared, composed, hydra, self.sweep.points[index].overrides, self.further), place)


def _prepared(composed: DictConfig, hydra: DictConfig, overrides: list[str], further: str | None) -> Prepared:
    return prepared(completed(composed, hydra, further), overrides)
