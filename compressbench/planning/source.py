"""The recipes as Hydra sees them: a config group `recipe` whose files are translated while they are read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import OmegaConf

from compressbench.planning import doors
from compressbench.planning.catalogue import recipe_files
from compressbench.planning.recipe import GROUPS, SWEEP, TARGET, find_recipe, read_recipe

GROUP = "recipe"


class RecipeSource(ConfigSource):
    """Serves `recipe=NAME` from folders of plain YAML, and `recipe=FILE` from anywhere. Its address is `recipes://FOLDER:FOLDER`."""

    @staticmethod
    def scheme() -> str:
        return "recipes"

    def available(self) -> bool:
        return True

    def is_group(self, config_path: str) -> bool:
        return config_path in ("", GROUP)

    def is_config(self, config_path: str) -> bool:
        """Any recipe is claimed, so that an unknown one gets our message from `load_config`."""
        return config_path.startswith(f"{GROUP}/") and config_path != f"{GROUP}/None"

    def load_config(self, config_path: str) -> ConfigResult:
        """Return the recipe at the top level, with overrides of the config groups it names. Raises PlanError."""
        given = config_path.removeprefix(f"{GROUP}/")
        name, content = find_recipe(given, self._folders())[0], read_recipe(given, self._folders())
        content.pop(SWEEP, None)  # says which runs there are, and nothing of any of them
        defaults: list[object] = ["_self_"]
        for group in GROUPS:
            node = dict(content.pop(group, {}))
            if "name" in node and TARGET not in node:
                defaults.append({f"override /{group}": str(node.pop("name"))})
            if node:
                content[group] = node
        config = OmegaConf.create({"defaults": defaults, **content, "recipe": name})
        return ConfigResult(
            provider=self.provider, path=self.full_path(), config=config, header={"package": "_global_"}
        )

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Return all rows at once, nested ones too, so that `recipe=glob(table5/*)` finds them."""
        if config_path == "":
            return [] if results_filter == ObjectType.CONFIG else [GROUP]
        return [] if results_filter == ObjectType.GROUP else list(recipe_files(self._folders()))

    def _folders(self) -> Sequence[Path]:
        return [Path(folder) for folder in self.path.split(os.pathsep) if folder]


class DoorSource(ConfigSource):
    """Serves `model=timm/resnet10t` and the like: networks of other packages by their names there."""

    @staticmethod
    def scheme() -> str:
        return "doors"

    def available(self) -> bool:
        return True

    def is_group(self, config_path: str) -> bool:
        return config_path in ("", "model", *(f"model/{door}" for door in doors.DOORS))

    def is_config(self, config_path: str) -> bool:
        """Any network behind a door is claimed, so that an unknown one gets our message from `load_config`."""
        return config_path.startswith("model/") and doors.split(config_path.removeprefix("model/")) is not None

    def load_config(self, config_path: str) -> ConfigResult:
        """Return the network's node. Raises PlanError."""
        config = OmegaConf.create(doors.node(config_path.removeprefix("model/").removesuffix(".yaml")))
        return ConfigResult(provider=self.provider, path=self.full_path(), config=config, header={"package": "model"})

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Return nothing: a thousand names would drown ours."""
        return []


def address(folders: Sequence[Path]) -> str:
    """Return the address of a source that reads `folders`, and make Hydra know its scheme."""
    Plugins.instance().register(RecipeSource)
    Plugins.instance().register(DoorSource)
    return f"{RecipeSource.scheme()}://{os.pathsep.join(str(folder) for folder in folders)}"
