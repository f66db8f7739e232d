"""Which code may be named, and so imported."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from compressbench.core.architecture import Architecture
from compressbench.core.dotted import locate
from compressbench.core.plugins import only, use
from tests.users_plugins import write_plugins

ZOO = "compressbench.zoo."


def test_ours_is_found_and_what_is_beside_it_is_not() -> None:
    assert locate("compressbench.zoo.lenet.LeNet5", ZOO).__name__ == "LeNet5"
    with pytest.raises(ValueError, match="may not be named"):
        locate("compressbench.cli.main.main", ZOO)


def test_a_declared_plugin_is_imported_only_when_it_is_in_use() -> None:
    write_plugins()
    with pytest.raises(ValueError, match=r"'plugins', declared in the working folder, was not asked for; add"):
        locate("plugins.Net", ZOO)
    assert not Path("ran").exists()
    use("plugins.Net")
    assert locate("plugins.Net", ZOO).__module__ == "plugins"
    assert Path("ran").exists()


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "subprocess.run",
        "plugins.subprocess.run",  # imported there
        "plugins.Path",
        "plugins.Linear",
        "plugins.nn.Linear",
        "plugins.network.__init__",
        "plugins.__builtins__",
        "plugins.Net.__class__",
        "plugins._hidden",
        "plugins..Net",
        ".plugins.Net",
        "plugins",
        "",
        "plugins.nothing",
        "pluginsother.Net",
    ],
)
def test_what_a_plugin_does_not_define_is_refused(target: str) -> None:
    write_plugins()
    with (
        only(["plugins"]),
        pytest.raises(ValueError, match=r"may not be named|cannot be imported|is no class or|has no plugins\."),
    ):
        locate(target, ZOO)


def test_a_plugin_that_cannot_be_imported_is_named_with_what_it_raised() -> None:
    for text, said in (("1 / 0\n", "ZeroDivisionError"), ("import no_such\n", "no_such"), ("def\n", "line 1")):
        write_plugins(text)
        with only(["plugins"]), pytest.raises(ValueError, match=rf"the plugin 'plugins' \(.*\) cannot.*{said}"):
            locate("plugins.Net", ZOO)


def test_a_package_has_modules_and_may_name_at_its_top_what_they_define() -> None:
    Path("plugins").mkdir()
    Path("plugins/__init__.py").write_text("from plugins.nets import Net\n")
    Path("plugins/nets.py").write_text("class Net: ...\n")
    Path("plugins/more.py").write_text("class Other: ...\n")
    with only(["plugins"]):
        assert locate("plugins.Net", ZOO) is locate("plugins.nets.Net", ZOO)
        assert locate("plugins.more.Other", ZOO).__name__ == "Other"


def test_a_script_beside_a_plugins_modules_is_not_run_for_a_name_it_does_not_say() -> None:
    Path("plugins").mkdir()
    Path("plugins/__init__.py").touch()
    Path("plugins/script.py").write_text("from pathlib import Path\nPath('ran').touch()\n")
    with only(["plugins"]), pytest.raises(ValueError, match=r"has no plugins\.script\.wipe"):
        locate("plugins.script.wipe", ZOO)
    assert not Path("ran").exists()


def test_the_file_of_another_folder_takes_the_place_of_the_first(tmp_path: Path) -> None:
    first = write_plugins("class A: ...\n", tmp_path / "a")
    second = write_plugins("class B: ...\n", tmp_path / "b")
    with only([first]):
        assert locate("plugins.A", ZOO)
    with only([second]):
        assert locate("plugins.B", ZOO)
        with pytest.raises(ValueError, match=r"plugins\.A cannot be imported"):
            locate("plugins.A", ZOO)


def test_a_file_never_takes_the_place_of_another_module(tmp_path: Path) -> None:
    file = tmp_path / "json.py"
    file.write_text("class A: ...\n")
    with only([file]), pytest.raises(ValueError, match="another module is called 'json'"):
        locate("json.A", ZOO)
    assert sys.modules["json"].__name__ == "json"


def test_a_network_is_a_class_of_networks_or_a_function_that_says_it_returns_one() -> None:
    write_plugins()
    Path("keep").touch()
    with only(["plugins"]):
        assert Architecture("plugins.Net", {"in_channels": 1, "classes": 2}).build().out.out_features == 2
        assert Architecture("plugins.made", {"in_channels": 1, "classes": 3}).build().out.out_features == 3
        for name in ("wipe", "unsaid", "Table"):
            with pytest.raises(ValueError, match="is no network; allowed: a subclass"):
                Architecture(f"plugins.{name}", {"path": "keep"}).build()
    assert Path("keep").exists()
