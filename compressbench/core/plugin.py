"""Plugin: a module or package of somebody else, whose code recipes and packed files may name once it is declared."""

from __future__ import annotations

import hashlib
import importlib
import re
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

_from_files: set[str] = set()
"""Modules that were imported from the user's files, so that those of another folder may take their place."""


@dataclass(frozen=True)
class Plugin:
    """What the user declared. name: of the entry point, else of the module. module: its dotted path.

    path: its file, or the folder of its package. declared: where, in words. of_file: it is imported from `path`,
    whatever else is called so, not as Python finds it. released: the version of the distribution that brings it.
    """

    name: str
    module: str
    path: Path
    declared: str
    of_file: bool = False
    released: str | None = None

    @property
    def version(self) -> str:
        """Its distribution's version; else the `__version__` in its file; else digits that change with its code."""
        return self.released or _own_version(self)

    def holds(self, dotted: str) -> bool:
        """Return whether a dotted path is the module's, or lies below it."""
        return dotted == self.module or dotted.startswith(f"{self.module}.")

    def folder(self, name: str) -> Path | None:
        """Return its folder `conf` or `recipes`: in the package, or beside the package or file. None if it has none."""
        inside = [self.path / name] if self.path.is_dir() else []
        return next((folder for folder in (*inside, self.path.parent / name) if folder.is_dir()), None)

    def files(self) -> list[Path]:
        """Return the files of its code."""
        return sorted(self.path.rglob("*.py")) if self.path.is_dir() else [self.path]

    def load(self) -> ModuleType:
        """Return the imported module. ValueError, naming the plugin and what it raised, if it cannot be imported."""
        from compressbench.vision import mend

        mend()  # it may import torchvision
        try:
            return _imported_from(self) if self.of_file else importlib.import_module(self.module)
        except (Exception, SystemExit) as error:
            said = f"{type(error).__name__}: {error}"
            raise ValueError(f"the plugin {self.name!r} ({self.path}) cannot be imported: {said}") from error


def file_of(module: ModuleType) -> Path | None:
    """Return the file a module was imported from, None if it comes from none."""
    file = getattr(module, "__file__", None)
    return Path(file).resolve() if file else None


def _imported_from(plugin: Plugin) -> ModuleType:
    """Import a plugin from its file. What lies beside it can be imported from then on."""
    from importlib.util import module_from_spec, spec_from_file_location

    package = plugin.path.is_dir()
    file = plugin.path / "__init__.py" if package else plugin.path
    known = sys.modules.get(plugin.module)
    if known is not None and file_of(known) == file:
        return known
    if known is not None and plugin.module not in _from_files:
        raise ImportError(f"another module is called {plugin.module!r}; give it another name")
    for name in [name for name in sys.modules if plugin.holds(name)]:
        del sys.modules[name]
    spec = spec_from_file_location(
        plugin.module, file, submodule_search_locations=[str(plugin.path)] if package else None
    )
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[plugin.module] = module_from_spec(spec)
    _from_files.add(plugin.module)
    if str(plugin.path.parent) not in sys.path:
        sys.path.append(str(plugin.path.parent))
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[plugin.module]
        raise
    return module


@cache
def _own_version(plugin: Plugin) -> str:
    main = plugin.path / "__init__.py" if plugin.path.is_dir() else plugin.path
    said = re.search(r"^__version__\s*=\s*[\"'](.+?)[\"']", main.read_text(encoding="utf-8"), re.MULTILINE)
    if said:
        return said.group(1)
    found = hashlib.sha256()
    for file in plugin.files():
        found.update(file.read_bytes())
    return found.hexdigest()[:12]
