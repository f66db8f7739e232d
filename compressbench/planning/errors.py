"""What Hydra, OmegaConf and YAML complain about, in words for people: no traceback, no hint to use `+key`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import yaml
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from compressbench.core.errors import Fault, PlanError, suggestion
from compressbench.core.installation import missing
from compressbench.planning import catalogue

LAUNCHERS = {
    "joblib": ("local", "hydra-joblib-launcher"),
    "ray": ("ray", "hydra-ray-launcher"),
    "submitit_local": ("slurm", "hydra-submitit-launcher"),
    "submitit_slurm": ("slurm", "hydra-submitit-launcher"),
}
"""Hydra's launchers, each with our extra that brings it, which is what conf/launcher calls it, and the package."""


@contextmanager
def for_people() -> Iterator[None]:
    """Turn the errors of composing into PlanError."""
    try:
        yield
    except PlanError:
        raise
    except OverrideParseException as error:
        raise PlanError([_unreadable(error.override)]) from error
    except MissingConfigException as error:
        raise PlanError([_missing_file(error)]) from error
    except (HydraException, OmegaConfBaseException) as error:
        raise PlanError([_composition(error)]) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{mark.name}, line {mark.line + 1}" if mark else ""
        raise PlanError.of(where, f"not valid YAML: {error.problem}") from error
    except OSError as error:
        raise PlanError.of("outputs", f"cannot be written: {error.filename}: {error.strerror}") from error
    except ValueError as error:  # a launcher's
        raise PlanError.of("", _first_line(str(error))) from error


def _unreadable(override: str) -> Fault:
    """Return the fault of a word that is no `key=value`."""
    if "=" not in override and not override.startswith("~"):
        names = catalogue.recipe_files(catalogue.recipe_folders())
        likely = f"recipe={override}" if override in names else "KEY=VALUE, e.g. recipe=quickstart"
        return Fault(override, f"is not an override; write {likely}")
    return Fault(override, "cannot be read; a value with special characters needs quotes, e.g. 'note=\"a (b)\"'")


def _missing_file(error: MissingConfigException) -> Fault:
    group, _, name = (error.missing_cfg_file or "").rpartition("/")
    if not group:
        return Fault("", _first_line(str(error)))
    there = [entry.name for entry in catalogue.group(group)] if not error.options else list(error.options)
    if group == "hydra/launcher":
        if name in LAUNCHERS:
            extra, package = LAUNCHERS[name]
            return Fault("launcher", f"{extra} (Hydra's {name}) needs what is not there: {missing([package], extra)}")
        there += LAUNCHERS
    listed = f" (`compressbench list {group}s` shows all)" if group in ("model", "dataset", "launcher") else ""
    return Fault(group, f"there is no {name!r}; {suggestion(name, there)}{listed}")


def _composition(error: Exception) -> Fault:
    text, cause = str(error), error.__cause__
    key = _quoted(text, "Could not override '")
    if key and isinstance(cause, ConfigKeyError | ConfigAttributeError):
        parent = cause.parent_node
        allowed = [str(name) for name in parent if name != "hydra"] if isinstance(parent, DictConfig) else []
        return Fault(key, f"there is no such key; {suggestion(key.rpartition('.')[2], allowed)}")
    if key:
        return Fault(key, "cannot be chosen here")
    if key := _quoted(text, "Could not delete from config. '"):
        return Fault(f"~{key}", "there is nothing of that name to delete; `--cfg job` instead shows what there is")
    if key := _quoted(text, "An item is already at '"):
        return Fault(key, "is there already; leave out the plus sign")
    if found := _quoted(text, "Ambiguous value for argument '"):
        return Fault(found, "has several values; use -m for each of them (`run -m`, `check -m`), or [a,b] for a list")
    if found := _quoted(text, "Sweep parameters '"):
        return Fault(found, "has several values; use -m for each of them (`run -m`, `check -m`)")
    if isinstance(cause, OmegaConfBaseException):
        return _value(cause, _quoted(text, "Error merging override ", end="\n"))
    if isinstance(error, OmegaConfBaseException):
        return _value(error, "")
    return Fault("", _first_line(text))


def _value(error: OmegaConfBaseException, where: str) -> Fault:
    return Fault(where or error.full_key or "", _first_line(error.msg or str(error)))


def _quoted(text: str, before: str, end: str = "'") -> str:
    """Return what stands between `before` and `end`."""
    found = re.search(f"{re.escape(before)}(.*?)(?:{end}|$)", text, re.DOTALL)
    return found.group(1).strip() if found else ""


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0].strip() if text.strip() else "cannot be composed"
