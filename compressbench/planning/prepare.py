"""What every verb that reads a recipe begins with: composed, its plain keys typed, once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from compressbench.core.errors import PlanError
from compressbench.planning.diagnose import composed
from compressbench.planning.launchers import is_of_launcher
from compressbench.planning.settings import Settings, key_faults, settings


class Prepared(NamedTuple):
    """A configuration that can be read, the overrides it was made with, as written, and its plain keys."""

    config: DictConfig
    overrides: list[str]
    settings: Settings

    def plain(self) -> dict[str, Any]:
        """Return the configuration as plain data, interpolations replaced."""
        found: Any = OmegaConf.to_container(self.config, resolve=True)
        return dict(found)


def prepare(overrides: Sequence[str], further: str | None = None) -> Prepared:
    """Compose what overrides say; PlanError with everything that is wrong if it cannot even be read.

    further: as `compose` takes it.
    """
    if told := [text for text in overrides if is_of_launcher(text.partition("=")[0])]:
        raise PlanError.of(told[0], "is about a sweep, which may be of one run; write -m (`run -m`, `check -m`)")
    return prepared(composed(overrides, further), list(overrides))


def prepared(config: DictConfig, overrides: list[str]) -> Prepared:
    """Type the plain keys of a composed configuration; PlanError as `prepare` raises it."""
    try:
        plain = settings(config)
        OmegaConf.to_container(config, resolve=True)
        if not key_faults(config):
            return Prepared(config, overrides, plain)
    except (PlanError, OmegaConfBaseException):
        pass
    from compressbench.planning.build import build  # imports torch

    raise PlanError(build(config, overrides)[1])
