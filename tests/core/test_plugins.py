"""What a user declares, and what is in use."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from compressbench.core.errors import PlanError
from compressbench.core.plugins import declared, in_use, only, plugin_of, use
from tests.users_plugins import write_plugins


def installed(folder: Path, name: str, version: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lay out what pip would install: a package whose entry point declares it."""
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text("raise AssertionError('nobody asked for it')\n")
    metadata = folder / f"{name}-{version}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (metadata / "entry_points.txt").write_text(f"[compressbench.plugins]\nshort = {name}\n")
    monkeypatch.syspath_prepend(str(folder))
    return folder / name


def test_nothing_is_declared_where_nobody_declares_anything() -> None:
    assert declared() == ()


def test_a_file_in_the_working_folder_is_declared_and_not_imported() -> None:
    file = write_plugins()
    (found,) = declared()
    assert (found.name, found.module, found.path) == ("plugins", "plugins", file)
    assert not Path("ran").exists()


def test_a_package_in_the_working_folder_is_declared_too() -> None:
    Path("plugins").mkdir()
    Path("plugins/__init__.py").touch()
    assert [found.path for found in declared()] == [Path("plugins").resolve()]


def test_a_folder_that_is_no_package_is_not() -> None:
    Path("plugins").mkdir()
    assert declared() == ()


def test_the_environment_declares_paths_and_modules(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mine = tmp_path / "elsewhere" / "mine.py"
    mine.parent.mkdir()
    mine.touch()
    monkeypatch.setenv("COMPRESSBENCH_PLUGINS", os.pathsep.join([str(mine), "wave"]))
    assert [(found.name, found.path.name) for found in declared()] == [("mine", "mine.py"), ("wave", "wave.py")]
    assert "wave" not in sys.modules


def test_an_installed_package_declares_itself_with_its_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = installed(tmp_path / "site", "cb_example_of_a_plugin", "1.2.3", monkeypatch)
    (found,) = declared()
    assert (found.name, found.module, found.version) == ("short", "cb_example_of_a_plugin", "1.2.3")
    assert found.path == package


@pytest.mark.parametrize("named", ["no_such_module", "./nothing.py", "compressbench.zoo"])
def test_what_is_not_there_or_ours_is_refused_with_its_name(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPRESSBENCH_PLUGINS", named)
    with pytest.raises(PlanError, match=named.removeprefix("./")):
        declared()


def test_two_of_one_name_are_refused_with_both_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ours, other = write_plugins(), write_plugins(folder=tmp_path / "other")
    monkeypatch.setenv("COMPRESSBENCH_PLUGINS", str(other))
    with pytest.raises(PlanError, match="two are called 'plugins'") as caught:
        declared()
    assert str(ours) in str(caught.value)
    assert str(other) in str(caught.value)
    monkeypatch.setenv("COMPRESSBENCH_PLUGINS", str(ours))  # the same one twice is one
    assert len(declared()) == 1


def test_the_version_of_a_file_is_what_it_says_or_else_changes_with_it(tmp_path: Path) -> None:
    first = write_plugins("value = 1\n", tmp_path / "a")
    second = write_plugins("value = 2\n", tmp_path / "b")
    third = write_plugins('__version__ = "7"\n', tmp_path / "c")
    versions = []
    for file in (first, second, third):
        with only([file]):
            versions.append(in_use()[0].version)
    assert len(set(versions)) == 3
    assert versions[2] == "7"


def test_a_plugin_is_in_use_once_something_in_it_was_named_or_within_only() -> None:
    write_plugins()
    assert in_use() == ()
    with only(["plugins"]):
        assert [each.name for each in in_use()] == ["plugins"]
    assert in_use() == ()
    use("plugins.Net")
    assert [each.name for each in in_use()] == ["plugins"]
    with only([]):
        use("plugins.Net")
        assert in_use() == ()


def test_only_takes_modules_and_paths_and_names_the_nearest() -> None:
    import wave

    file = write_plugins()
    with only([wave, file]):
        assert [each.module for each in in_use()] == ["wave", "plugins"]
    with pytest.raises(ValueError, match="plugin: there is no 'plugin'; did you mean 'plugins'"), only(["plugin"]):
        pass


def test_code_belongs_to_the_plugin_it_lies_in() -> None:
    write_plugins()
    plugin = plugin_of("plugins.Net")
    assert plugin is not None
    assert plugin.name == "plugins"
    assert plugin_of("pluginsother.Net") is None
    assert plugin_of("compressbench.zoo.lenet.LeNet5") is None
