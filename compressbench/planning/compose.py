"""Composing a configuration from conf/, a recipe and overrides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra.core.utils import setup_globals
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from compressbench.core.errors import PlanError
from compressbench.core.plugins import plugin_of
from compressbench.planning import source
from compressbench.planning.catalogue import conf_folders, group_file, recipe_folders
from compressbench.planning.errors import for_people
from compressbench.planning.overrides import readable
from compressbench.planning.recipe import TARGET, load_yaml
from compressbench.planning.stages import complete_stages

CONFIG = "config"
CHOSEN = ("model", "dataset", "training", "debug")
"""Groups whose chosen name is kept, under `chosen`."""
CONFIG_DIR = "config_dir"
"""What `chosen` calls the further folder of config groups, if there is one."""
CHECKED = ("stages", "model", "dataset", "training", "limits", "budget", "reference")
"""Nodes whose keys we check ourselves, with their types, after Hydra has composed them."""


class Loader(ConfigLoaderImpl):
    """Reads conf/ and recipes, and lets `stages.prune.ratio=0.5` be set whether the recipe says a ratio or not.

    Hydra wants a plus sign for keys that are not in the YAML. A stage's parameters mostly are not, they have defaults;
    so the nodes that we check ourselves are open.
    """

    def _compose_config_from_defaults_list(self, defaults: Any, repo: Any) -> DictConfig:
        config: DictConfig = super()._compose_config_from_defaults_list(defaults, repo)
        for key in CHECKED:
            node = config._get_node(key)
            if isinstance(node, DictConfig):
                OmegaConf.set_struct(node, False)
        return config


def compose(overrides: Sequence[str], further: str | None = None) -> DictConfig:
    """Return the configuration of one run, stages completed. PlanError, in words for people, for anything unusable.

    further: see `config_loader`.
    """
    with for_people():
        loader = config_loader(further)
        composed = loader.load_configuration(CONFIG, readable(overrides), RunMode.RUN, from_shell=False)
        return completed(composed, composed.hydra, further)


def config_loader(further: str | None = None) -> Loader:
    """Return what reads conf/ and the recipes. We go without `hydra.main`, which prints errors as tracebacks.

    further: one more folder of config groups, with recipes below `recipes/`.
    """
    version.setbase("1.3")
    setup_globals()
    extra = [] if further is None else [Path(further).expanduser().absolute()]
    for folder in extra:
        if not folder.is_dir():
            raise PlanError.of("--config-dir", f"there is no folder {folder}")
    path = ConfigSearchPathImpl()
    path.append("hydra", "pkg://hydra.conf")
    for folder in conf_folders():
        path.append("main", str(folder))
    path.append("recipes", source.address(recipe_folders([folder / "recipes" for folder in extra])))
    path.append("doors", "doors://")
    for folder in extra:
        path.append("command-line", f"file://{folder}")
    path.append("schema", "structured://")
    return Loader(config_search_path=path)


def completed(composed: DictConfig, hydra: DictConfig, further: str | None = None) -> DictConfig:
    """Return a configuration without its `hydra` and `launcher` nodes, with what was `chosen` by name and the
    stages' defaults.

    further: is kept, for the recipes that its stages read.
    """
    if "chosen" in composed:
        raise PlanError.of("chosen", "there is no such key; model=NAME, dataset=NAME and so on choose")
    choices = hydra.runtime.choices
    config = composed.copy()
    OmegaConf.set_struct(config, False)
    with open_dict(config):
        config.pop("hydra", None)
        config.pop("launcher", None)
    config.chosen = {group: choices.get(group) for group in CHOSEN}
    if further is not None:
        config.chosen[CONFIG_DIR] = further
    _check_chosen_once(config)
    complete_stages(config)
    return config


def _check_chosen_once(config: DictConfig) -> None:
    """Raise PlanError if a recipe names a class, and the command line an entry in its place: the two do not mix."""
    for group in ("model", "dataset"):
        node, name = config.get(group), config.chosen[group]
        target = node.get(TARGET) if isinstance(node, DictConfig) else None
        if name is None or plugin_of(str(target)) is None:
            continue
        file = group_file(group, name)
        if file is not None and load_yaml(file).get(TARGET) != target:
            what = f"does not go with the class {target}, which the recipe names; one that extends it can"
            raise PlanError.of(f"{group}={name}", f"{what} say `{group}: {name}`")
