"""Which plugins there are, and which of them may be named now. Nothing here imports one.

Only the user declares one: as an entry point of the group `compressbench.plugins`, in COMPRESSBENCH_PLUGINS (modules
that can be imported, or paths to a file or a package, separated like PATH), or as `plugins.py` or `plugins/` in the
working folder. Its code is open to recipes, and to packed files once a recipe named something in it, or within `only`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from types import ModuleType

from compressbench.core.errors import PlanError, suggestion
from compressbench.core.plugin import Plugin, file_of

GROUP, VARIABLE, OWN = "compressbench.plugins", "COMPRESSBENCH_PLUGINS", "plugins"
"""The group of entry points, the environment variable, and the module in the working folder."""

Told = str | Path | ModuleType
"""How a user names a plugin: by its name if it is declared, by the path to its file or package, or as a module."""

_named: dict[str, Plugin] = {}
"""Plugins that a recipe named, by module."""
_told: ContextVar[tuple[Plugin, ...] | None] = ContextVar("told", default=None)


def declared() -> tuple[Plugin, ...]:
    """Return every plugin that the user declared. PlanError for one that is not there, and for two of one name."""
    found: dict[str, Plugin] = {}
    for plugin in (*_of_variable(), *_of_entry_points(tuple(sys.path)), *_of_folder()):
        other = found.setdefault(plugin.module, plugin)
        if other.path != plugin.path:
            where = f"{other.path} ({other.declared}) and {plugin.path} ({plugin.declared})"
            raise PlanError.of("plugins", f"two are called {plugin.module!r}: {where}; rename one")
    return tuple(found.values())


def plugin_of(dotted: str) -> Plugin | None:
    """Return the plugin in use, or else declared, that a dotted path lies in; None for ours and for nobody's."""
    if dotted.startswith("compressbench."):
        return None
    return next((plugin for plugin in (*in_use(), *declared()) if plugin.holds(dotted)), None)


def in_use() -> tuple[Plugin, ...]:
    """Return the plugins whose code may be named now: those of `only`, else those that recipes named."""
    told = _told.get()
    return tuple(_named.values()) if told is None else told


def use(dotted: str) -> None:
    """Take into use the declared plugin that this code lies in, for a recipe or the command line names it.

    Within `only` nothing is: there, what is named may come from a file.
    """
    if _told.get() is None and not dotted.startswith("compressbench."):
        _named.update((plugin.module, plugin) for plugin in declared() if plugin.holds(dotted))


def hand_over(module: ModuleType) -> None:
    """Take into use the module of something that the user hands over in Python. ValueError if it lies in no file.

    It brings no conf entries: only its code may be named.
    """
    if plugin_of(module.__name__) is None and not module.__name__.startswith("compressbench."):
        _named[module.__name__] = _plugin(module)


@contextmanager
def only(told: Sequence[Told]) -> Iterator[None]:
    """Let the code of these plugins be named within, and of no other. PlanError for one that is not there."""
    token = _told.set(tuple(map(_plugin, told)))
    try:
        yield
    finally:
        _told.reset(token)


def _plugin(told: Told) -> Plugin:
    if isinstance(told, ModuleType):
        file = file_of(told)
        if file is None:
            raise PlanError.of("plugin", f"the module {told.__name__} lies in no file, so it cannot be one")
        path = file.parent if file.name == "__init__.py" else file
        return Plugin(told.__name__, told.__name__, path, "as a module")
    there = declared()
    for plugin in there:
        if told in (plugin.name, plugin.module):
            return plugin
    if _is_path(str(told)):
        return _of_path(Path(told), "by its path")
    near = suggestion(str(told), [plugin.name for plugin in there]) if there else "none is declared"
    raise PlanError.of("plugin", f"there is no {str(told)!r}; {near}")


def _of_variable() -> Iterator[Plugin]:
    for given in os.environ.get(VARIABLE, "").split(os.pathsep):
        if _is_path(given):
            yield _of_path(Path(given), f"in {VARIABLE}")
        elif given:
            yield _of_module(given, given, f"in {VARIABLE}")


@cache
def _of_entry_points(path: tuple[str, ...]) -> tuple[Plugin, ...]:
    """Return the plugins that are installed. Files are looked through first, for the library takes 40 ms to import."""
    if not any(GROUP.encode() in text for folder in path for text in _entry_points_in(folder)):
        return ()
    from importlib.metadata import entry_points

    return tuple(
        _of_module(point.name, point.module, "as an entry point", point.dist.version if point.dist else None)
        for point in entry_points(group=GROUP)
    )


def _entry_points_in(folder: str) -> Iterator[bytes]:
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        if name.endswith((".dist-info", ".egg-info")):
            try:
                yield (Path(folder) / name / "entry_points.txt").read_bytes()
            except OSError:
                continue


def _of_folder() -> Iterator[Plugin]:
    for own in (Path(OWN), Path(f"{OWN}.py")):
        if (own / "__init__.py").is_file() or own.is_file():
            yield _of_path(own, "in the working folder")


def _is_path(text: str) -> bool:
    return text.endswith(".py") or os.sep in text


def _of_path(path: Path, declared: str) -> Plugin:
    path = path.expanduser().resolve()
    there = path.is_file() or (path / "__init__.py").is_file()
    if not there or not path.stem.isidentifier():
        raise PlanError.of("plugins", f"{path}, named {declared}, is no file or package that can be imported")
    return Plugin(path.stem, path.stem, path, declared, of_file=True)


def _of_module(name: str, module: str, declared: str, released: str | None = None) -> Plugin:
    """Return the plugin of a module as Python finds it, without importing anything."""
    locations: Sequence[str] | None = None
    path, parts = "", module.split(".")
    for end in range(len(parts)):
        specs = (finder.find_spec(".".join(parts[: end + 1]), locations) for finder in sys.meta_path)
        spec = next((each for each in specs if each is not None), None)
        if spec is None or parts[0] == "compressbench":
            raise PlanError.of("plugins", f"{module!r}, named {declared}, is no module of a plugin that can be found")
        locations = spec.submodule_search_locations or []
        path = str(locations[0] if locations else spec.origin)
    return Plugin(name, module, Path(path).resolve(), declared, released=released)
