"""Recipes are plain YAML; this reads one, with everything it inherits.

`extends: NAME` names a sibling or a path below any folder of recipes. A child's mappings are merged into
its parent's, key by key. Stages keep their order; a stage that names another technique starts afresh;
`stages: {prune: null}` deletes one, `sweep:
{seed: null}` an axis. `model`, `dataset`, `training`, `tracking` and `debug` name a file of
their config group: `model: alexnet`, or, to change some of its values, `model: {name: alexnet, hidden: [64]}`. A
class of a plugin is named by its dotted path: `model: {_target_: plugins.Net, width: 4}`.
`weights: ...` is short for the model's weights.
"""

from __future__ import annotations

import copy
import functools
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from compressbench.core.errors import Fault, PlanError, suggestion
from compressbench.planning.catalogue import recipe_files
from compressbench.planning.trainings import DISTILL, KD, opened

GROUPS = ("model", "dataset", "training", "tracking", "debug")
"""The keys of a recipe whose value names a file below conf/."""

NODES = {
    "stages": "prune: {technique: pruning/l1_norm}",
    "budget": "params: 100000",
    "reference": "top1: 0.9",
    "limits": "epochs: 1",
}
"""The keys of a recipe whose value is a mapping, each with an example of what it holds."""

SWEEP = "sweep"
"""The key of a recipe that says what is run with several values by `run -m` (`planning.axes`)."""

SUFFIX, TARGET = ".yaml", "_target_"
LIST = "`compressbench list recipes` shows what there is"

Tree = dict[str, Any]


def read_recipe(name: str, folders: Sequence[Path]) -> Tree:
    """Return a recipe with its parents merged in; groups are mappings with a `name`. PlanError if it is unusable.

    name: as in `find_recipe`.
    """
    found = _inherited(find_recipe(name, folders)[1], folders, chain=())
    return found | {"stages": {key: opened(node) for key, node in found["stages"].items()}}


def find_recipe(name: str, folders: Sequence[Path]) -> tuple[str, Path]:
    """Return what a recipe is called, and its file. PlanError, saying where it looked, if there is none.

    name: that of a recipe below `folders` (`table5/mnist_l1norm_50`), or a path to a file (`./mine.yaml`), which wins.
    A file below one of `folders` is called as it is called there, any other by its own name without `.yaml`.
    """
    path = Path(name).expanduser()
    if name.endswith(SUFFIX) and path.is_file():
        return _called(path.resolve(), folders), path.absolute()
    file = _find(name, folders)
    if file is None:
        raise PlanError.of("recipe", _absent(name, path, folders))
    return name.removesuffix(SUFFIX), file


def _called(file: Path, folders: Sequence[Path]) -> str:
    """Return the name below the first folder that holds the file, or the file's own."""
    inside = [file.relative_to(folder) for folder in folders if file.is_relative_to(folder)]
    return (inside or [Path(file.name)])[0].as_posix().removesuffix(SUFFIX)


def _absent(name: str, path: Path, folders: Sequence[Path]) -> str:
    """Return the message for a recipe that is not there: the nearest one, and where it was looked for."""
    beside = [f"{name.removesuffix(path.name)}{file.name}" for file in path.parent.glob(f"*{SUFFIX}")]
    near = suggestion(name, [*recipe_files(folders), *(beside if name.endswith(SUFFIX) else [])])
    hint = f"{near} (`compressbench list recipes` shows all)" if near.startswith("did") else LIST
    looked = [*([str(path.absolute())] if name.endswith(SUFFIX) else []), *map(str, folders)]
    return f"there is no {name!r}; {hint}; looked in {', '.join(looked)}"


def _inherited(file: Path, folders: Sequence[Path], chain: tuple[Path, ...]) -> Tree:
    own = load_yaml(file)
    parent_name = own.pop("extends", None)
    own = _checked(own, file)
    if parent_name is None:
        return merge_recipes({}, own, str(file))
    if not isinstance(parent_name, str):
        raise PlanError.of(f"{file}: extends", f"is {parent_name!r}; allowed: the name of one recipe")
    chain = (*chain, file)
    parent = _find_parent(parent_name, file, folders, chain)
    return merge_recipes(_inherited(parent, folders, chain), own, str(file))


def _find_parent(name: str, child: Path, folders: Sequence[Path], chain: tuple[Path, ...]) -> Path:
    found = _find(name, [child.parent, *folders], chain)
    if found is not None:
        return found
    if _find(name, [child.parent, *folders]) is not None:
        raise PlanError.of(str(child), f"extends {name!r}, which extends this file again")
    beside = [file.stem for file in child.parent.glob("*.yaml") if file != child]
    near = suggestion(name, {*beside, *recipe_files(folders)})
    raise PlanError.of(str(child), f"extends {name!r}, which does not exist; {near}")


def _find(name: str, folders: Sequence[Path], skip: Sequence[Path] = ()) -> Path | None:
    """Return the first file of that name that is not in `skip`; a user's recipe may so extend ours of the same name."""
    parts = name.split("/")
    if not all(parts) or any(part.startswith(".") for part in parts):
        return None
    for folder in folders:
        file = folder / f"{name.removesuffix(SUFFIX)}{SUFFIX}"
        if file.is_file() and file not in skip:
            return file
    return None


def load_yaml(file: Path) -> Tree:
    """Return the mapping in a YAML file, interpolations left as they are. PlanError saying file, line and reason."""
    try:
        tree = copy.deepcopy(_parsed(file.read_text(encoding="utf-8")))
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise PlanError.of(f"{file}{line}", f"not valid YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, OmegaConfBaseException, OSError, UnicodeDecodeError, RecursionError) as error:
        raise PlanError.of(str(file), f"cannot be read: {str(error).splitlines()[0]}") from error
    if not isinstance(tree, dict):
        raise PlanError.of(str(file), f"holds a {type(tree).__name__}, not `key: value` lines")
    return {str(key): value for key, value in tree.items()}


@functools.cache
def _parsed(text: str) -> object:
    """Return what YAML holds; once for each text, because a plan reads the same few files dozens of times."""
    return OmegaConf.to_container(OmegaConf.load(io.StringIO(text)), resolve=False)


def _checked(own: Tree, file: Path) -> Tree:
    """Return `own` with its groups as mappings. PlanError for shapes that cannot be merged."""
    faults = []
    for key in {"defaults", "hydra", "recipe", "chosen"} & own.keys():
        faults.append(Fault(f"{file}: {key}", "is no key of a recipe, which inherits with `extends: NAME`"))
    if own.get("tracking") is False:
        own["tracking"] = "off"  # YAML reads `off` as false
    for key in GROUPS:
        if isinstance(own.get(key), str):
            own[key] = {"name": own[key]}
        if key in own and not isinstance(own[key], dict):
            faults.append(Fault(f"{file}: {key}", f"is {own[key]!r}; allowed: a name, or a mapping with `name`"))
    if "weights" in own and isinstance(own.get("model", {}), dict):
        own["model"] = {**own.get("model", {}), "weights": own.pop("weights")}
    for key, example in {**NODES, SWEEP: "seed: [0, 1, 2]"}.items():
        if not isinstance(own.get(key, {}), dict):
            faults.append(Fault(f"{file}: {key}", f"is {own[key]!r}; allowed: a mapping, e.g. `{example}`"))
    stages = own.get("stages")
    for name, node in stages.items() if isinstance(stages, dict) else ():
        if node is not None and not isinstance(node, dict):
            faults.append(Fault(f"{file}: stages.{name}", f"is {node!r}; allowed: a mapping with `technique`"))
    if faults:
        raise PlanError(faults)
    return own


def merge_recipes(parent: Tree, child: Tree, file: str) -> Tree:
    """Return `child` over `parent` by the rules of this module. PlanError if it deletes a stage that is not there."""
    merged = _merge(parent, {key: value for key, value in child.items() if key not in (*GROUPS, "stages", SWEEP)})
    for key in GROUPS:
        if key in child:
            old, own = parent.get(key, {}), _chosen(child[key])
            merged[key] = child[key] if own not in (None, _chosen(old)) else _merge(old, child[key])
    stages = dict(parent.get("stages", {}))
    for name, node in child.get("stages", {}).items():
        old = stages.get(name, {})
        if node is None:
            if name not in stages:
                raise PlanError.of(
                    f"{file}: stages.{name}", f"there is no such stage to delete; {suggestion(name, stages)}"
                )
            del stages[name]
        elif "technique" in node and node["technique"] != old.get("technique"):
            stages[name] = node
        else:
            stages[name] = _stage_over(opened(old), node)
    return merged | {"stages": stages} | _swept(parent, child, file)


def _swept(parent: Tree, child: Tree, file: str) -> Tree:
    """Return the axes of `child` over those of `parent`, if there are any; null deletes one."""
    axes = dict(parent.get(SWEEP, {}))
    for key, values in child.get(SWEEP, {}).items():
        if values is None and key not in axes:
            raise PlanError.of(f"{file}: {SWEEP}.{key}", f"there is no such axis to delete; {suggestion(key, axes)}")
        axes[key] = values
    axes = {str(key): values for key, values in axes.items() if values is not None}
    return {SWEEP: axes} if axes else {}


def _stage_over(old: Tree, own: Tree) -> Tree:
    """Return a stage over its parent's of the same technique; another distillation replaces the parent's whole."""
    before, after = old.get(DISTILL), own.get(DISTILL)
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return _merge(old, own)
    kind = before.get("technique", KD)
    return _merge(old, own) if after.get("technique", kind) == kind else {**_merge(old, own), DISTILL: after}


def _chosen(node: Tree) -> Any:
    """Return what a group's node chooses: a class by its dotted path, or an entry of conf/ by its name."""
    return node.get(TARGET, node.get("name"))


def _merge(parent: Tree, child: Tree) -> Tree:
    merged = dict(parent)
    for key, value in child.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged
