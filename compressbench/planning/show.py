"""What `--cfg` and `--info` ask for: the composed configuration as YAML, or how Hydra came to it."""

from __future__ import annotations

from collections.abc import Sequence

from hydra._internal.hydra import Hydra
from omegaconf import OmegaConf

from compressbench.core.errors import PlanError, suggestion
from compressbench.planning.compose import CONFIG, config_loader
from compressbench.planning.diagnose import composed
from compressbench.planning.errors import for_people
from compressbench.planning.overrides import readable


def job_config(overrides: Sequence[str], further: str | None, package: str | None, resolve: bool) -> str:
    """Return what a run gets, as YAML: with the defaults of every technique. package: a part of it (`stages.prune`)."""
    config = composed(overrides, further)
    if resolve:
        OmegaConf.resolve(config)
    part = OmegaConf.select(config, package) if package else config
    if part is None:
        raise PlanError.of(f"--package {package}", f"is not there; {suggestion(package or '', map(str, config))}")
    return OmegaConf.to_yaml(part) if OmegaConf.is_config(part) else f"{part}\n"


def print_by_hydra(
    overrides: Sequence[str], further: str | None, package: str | None, resolve: bool, what: str
) -> None:
    """Have Hydra print its own part (`hydra`), everything (`all`), or how it came to that (`info ...`)."""
    with for_people():
        hydra, words = Hydra("compressbench", config_loader(further)), readable(overrides)
        if what.startswith("info "):
            hydra.show_info(what.removeprefix("info "), CONFIG, words)
        else:
            hydra.show_cfg(CONFIG, words, what, package, resolve)
