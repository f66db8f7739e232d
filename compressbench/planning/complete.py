"""Tab completion: what may stand where the cursor is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from compressbench.core.budget import Budget
from compressbench.core.errors import PlanError
from compressbench.core.paths import outputs_folder
from compressbench.core.plan import Limits
from compressbench.planning import catalogue
from compressbench.planning.doors import completions
from compressbench.planning.launchers import KEY as LAUNCHER
from compressbench.planning.recipe import GROUPS, Tree, load_yaml, read_recipe
from compressbench.planning.stages import TARGET, default_schedules, technique_file
from compressbench.planning.trainings import DISTILL, KD, layered

CHECK_FLAGS = ("--multirun", "--config-dir", "--help")
FLAGS = ("--multirun", "--cfg", "--package", "--resolve", "--config-dir", "--info", "--help")
CACHE = ("list", "size", "prune", "verify")
CACHE_FLAGS = ("--sort", "--older-than", "--unused", "--dry-run", "--remove", "--outputs", "--help")
PLAIN = ("seed", "outputs", "cache", "device", "threads", "metrics")
SWEEP = ("list", "status", "resume", "cancel", "report")
KINDS = ("recipes", "techniques", "families", "models", "datasets", "metrics", "training", "launchers")


def offer(line: str, unfinished: str, verbs: list[str]) -> list[str]:
    """Return what bash may put in place of `unfinished`, with which `line` ends.

    It is the part of the last word behind its last `=`, where bash begins a word, so candidates begin there too.
    """
    words = line.split()[1:] + ([""] if line.endswith(" ") else [])
    if not words:
        return []
    found = complete(words) if len(words) > 1 else _starting(words[0], [f"{verb} " for verb in verbs])
    there = words[-1].removesuffix(unfinished)
    return [candidate.removeprefix(there) for candidate in found]


def complete(words: list[str]) -> list[str]:
    """Return the candidates for the last word, each whole.

    words: what stands behind `compressbench`, the verb first; the last one may be empty or unfinished. Names
    that go on with a value end in `=`; all others end in a space.
    """
    verb, word = words[0], words[-1]
    if verb in ("run", "check"):
        return _overrides(words[1:-1], word, FLAGS if verb == "run" else CHECK_FLAGS)
    if verb in ("evaluate", "export") and (len(words) > 2 or "=" in word):
        return _of_a_file(word)
    if verb == "list" and len(words) == 2:
        return _starting(word, [f"{name} " for name in (*KINDS, *_tables(), *_entries())])
    if verb == "cache" and (len(words) == 2 or word.startswith("-")):
        return _starting(word, [f"{name} " for name in (CACHE_FLAGS if word.startswith("-") else CACHE)])
    if verb == "cache" and words[1] in ("list", "verify"):
        return _starting(word, [f"{entry.name} " for entry in catalogue.recipes()])
    if verb == "report" and len(words) == 2:
        outside = [entry.name for entry in catalogue.recipes() if "/" not in entry.name]
        return _starting(word, [f"{name} " for name in (*_tables(), *outside, *_sweeps())])
    if verb == "sweep" and len(words) in (2, 3):
        return _starting(word, [f"{name} " for name in (SWEEP if len(words) == 2 else _sweeps())])
    return []


def _sweeps() -> list[str]:
    """Return the sweeps below the folder of the runs that is used if nothing else is said."""
    return sorted(path.name for path in (outputs_folder() / "sweeps").glob("*") if path.is_dir())


def _tables() -> list[str]:
    return sorted({entry.name.rpartition("/")[0] for entry in catalogue.recipes()} - {""})


def _entries() -> list[str]:
    """Return every name that `list` can say more about."""
    groups = ("technique", "model", "dataset", "metric", "training", LAUNCHER)
    found = [catalogue.recipes(), *map(catalogue.group, groups)]
    return [entry.name for entries in found for entry in entries]


def _of_a_file(word: str) -> list[str]:
    """Behind the file, whose name bash itself completes, stand the overrides of an evaluation."""
    key, equals, _ = word.partition("=")
    found = [f"{key}={option} " for option in _values(key)] if equals else ["dataset=", "device=", "metrics="]
    return _starting(word, [*found, "--output "] if word.startswith("-") else found)


def _overrides(before: list[str], word: str, flags: tuple[str, ...]) -> list[str]:
    key, equals, value = word.partition("=")
    if equals:
        done, comma, _ = value.rpartition(",")  # a sweep: complete the value behind the last comma
        found = [f"{key}={done}{comma}{option} " for option in _values(key)]
        if key == "model":
            last = value.rpartition(",")[2]
            found += [f"model={done}{comma}{name}{'' if name.endswith('/') else ' '}" for name in completions(last)]
    elif word.startswith("-"):
        found = [f"{flag} " for flag in flags]
    elif word.startswith("~"):
        found = [f"~stages.{name} " for name in _stages(before)]
    else:
        keys = ["recipe", *GROUPS, LAUNCHER, *PLAIN, *_nested(before), *_of_launcher(before)]
        found = [f"{name}=" for name in keys]
    return _starting(word, found)


def _values(key: str) -> list[str]:
    if key == "recipe":
        return [entry.name for entry in catalogue.recipes()]
    if key in (*GROUPS, LAUNCHER):
        return [entry.name for entry in catalogue.group(key)]
    if key.startswith("stages.") and key.endswith(".technique"):
        return [entry.name for entry in catalogue.techniques()]
    return ["auto", "cpu", "cuda"] if key == "device" else []


def _nested(before: list[str]) -> list[str]:
    """Return `stages.prune.ratio` and the like for the recipe that stands on the line, and what is always there."""
    found = [f"limits.{field.name}" for field in fields(Limits)] + [f"budget.{name}" for name in _limits(before)]
    for name, node in _stages(before).items():
        found += [f"stages.{name}.{key}" for key in _keys(node)]
        distill = node.get(DISTILL)
        if isinstance(distill, dict):
            keys = _keys({"technique": KD, **distill})
            found += [f"stages.{name}.{DISTILL}.{key}" for key in keys if not key.startswith("training.")]
    return found


def _keys(node: Mapping[str, object]) -> list[str]:
    """Return the keys of a stage, or of its distillation."""
    file = technique_file(str(node.get("technique")))
    return ["technique", *(_parameters(file) if file else [])]


def _of_launcher(before: list[str]) -> list[str]:
    """Return the keys of the launcher that stands on the line."""
    names = [word.partition("=")[2] for word in before if word.startswith(f"{LAUNCHER}=")]
    file = catalogue.group_file(LAUNCHER, names[-1]) if names else None
    node = _tree(file).get(LAUNCHER) if file else None
    return [f"{LAUNCHER}.{key}" for key in node] if isinstance(node, dict) else []


def _limits(before: list[str]) -> list[str]:
    """Return what a budget limits whatever is measured, and what the recipe's own does."""
    always = [own.name for own in fields(Budget) if own.name != "limits"]
    budget = _recipe(before).get("budget", {})
    return list(dict.fromkeys([*always, *(budget if isinstance(budget, dict) else {})]))


def _parameters(file: Path) -> list[str]:
    """Return the keys of a technique; those of its training one by one (`training.epochs`)."""
    found = []
    for key, value in layered(_tree(file), {}, default_schedules()).items():
        found += [f"{key}.{inner}" for inner in value] if isinstance(value, dict) and value else [key]
    return [key for key in found if key != TARGET]


def _stages(before: list[str]) -> dict[str, Tree]:
    stages = _recipe(before).get("stages", {})
    return {str(name): node for name, node in stages.items() if isinstance(node, dict)}


def _recipe(before: list[str]) -> Tree:
    names = [word.removeprefix("recipe=") for word in before if word.startswith("recipe=")]
    if not names:
        return {}
    try:
        return read_recipe(names[-1], catalogue.recipe_folders())
    except PlanError:
        return {}


def _tree(file: Path) -> dict[str, object]:
    try:
        return load_yaml(file)
    except PlanError:
        return {}


def _starting(word: str, candidates: list[str]) -> list[str]:
    return [candidate for candidate in candidates if candidate.startswith(word)]
