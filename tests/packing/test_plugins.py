"""A packed file names the plugins it needs; it is opened with those that were asked for, and never asks itself."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from compressbench import load
from compressbench.cli.main import main
from compressbench.core.architecture import Architecture
from compressbench.core.plugin import _own_version
from compressbench.core.plugins import only, use
from compressbench.core.subject import Subject
from compressbench.packing.container import PackedFileError, seal, unseal
from compressbench.packing.inspect import summary, tensor_table
from compressbench.packing.packed_file import read, write
from tests.users_plugins import NET, write_plugins

LAYERS = """

class Scaled(nn.Module):
    def __init__(self, features: int, factor: float = 1.0):
        super().__init__()
        self.features, self.factor = features, factor
        self.inner = nn.Linear(features, features)

    def forward(self, images):
        return self.factor * self.inner(images)


class Forgetful(nn.Linear):
    def __init__(self, features: int):
        super().__init__(features, features)
"""


@pytest.fixture
def subject() -> Subject:
    """A network of a plugin, as a run has it."""
    write_plugins(NET + LAYERS)
    use("plugins.Net")
    architecture = Architecture("plugins.Net", {"in_channels": 1, "classes": 3})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Subject(architecture.build(), architecture)


@pytest.fixture
def file(subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Its packed file, in a process that has not imported the plugin; `ran` says when it is imported again."""
    path = tmp_path / "model.cbp"
    write(subject, path)
    forget(monkeypatch)
    return path


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compressbench.core.plugins._named", {})
    monkeypatch.delitem(sys.modules, "plugins")
    Path("ran").unlink()


def rewritten(path: Path, **header: Any) -> None:
    content = unseal(path.read_bytes())
    path.write_bytes(seal({**content.header, **header}, content.note, [bytes(content.data)]))


def test_it_names_the_plugin_its_version_and_the_classes(file: Path) -> None:
    ((name, module, version, dotted),) = unseal(file.read_bytes()).header["plugins"]
    assert (name, module, dotted) == ("plugins", "plugins", ["plugins.Net"])
    assert len(version) == 12


def test_a_file_of_ours_names_none(tmp_path: Path) -> None:
    architecture = Architecture("compressbench.zoo.lenet.LeNet5", {"in_channels": 1, "classes": 3, "image_size": 16})
    write(Subject(architecture.build(), architecture), tmp_path / "model.cbp")
    assert "plugins" not in unseal((tmp_path / "model.cbp").read_bytes()).header


def test_without_the_plugin_one_error_says_what_to_pass_and_nothing_is_imported(file: Path) -> None:
    with pytest.raises(
        PackedFileError, match=r"needs the plugin 'plugins' .* \(for plugins\.Net\).*plugins=\['plugins'\]"
    ):
        load(file)
    assert not Path("ran").exists()


def test_it_is_opened_with_the_plugins_name_its_path_or_its_module(file: Path, subject: Subject) -> None:
    first = load(file, plugins=["plugins"])
    second = load(file, plugins=[Path("plugins.py")])
    third = load(file, plugins=[sys.modules["plugins"]])
    for model in (first, second, third):
        for name, tensor in subject.model.state_dict().items():
            assert torch.equal(model.state_dict()[name], tensor)
    with pytest.raises(PackedFileError, match="needs the plugin"):  # asked for once is not asked for ever
        load(file)


def test_it_is_inspected_without_the_plugin(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("plugins.py").unlink()
    assert main(["inspect", str(file)]) == 0
    printed = capsys.readouterr().out
    assert "needs the plugin 'plugins'" in printed
    assert "out.weight" in printed
    assert "times smaller" not in printed  # than a network that cannot be built
    assert [row["elements"] for row in tensor_table(file)] == [4, 256, 3, 12]
    assert summary(file).dense_bytes is None
    assert not Path("ran").exists()


def test_evaluate_and_export_take_the_plugin_by_its_name(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["evaluate", str(file)], ["export", str(file), "--output", "model.onnx"]):
        assert main(words) == 2
        assert "--plugin plugins" in capsys.readouterr().err
        assert not Path("ran").exists()
    assert main(["evaluate", str(file), "dataset=digits", "--plugin", "plugin"]) == 2
    assert capsys.readouterr().err == "error: plugin: there is no 'plugin'; did you mean 'plugins'?\n"
    assert main(["evaluate", str(file), "dataset=digits", "--plugin", "plugins"]) == 2
    assert "the network gives [1, 3]" in capsys.readouterr().err  # it was opened


def test_another_version_of_the_plugin_is_said(file: Path) -> None:
    Path("plugins.py").write_text(f'{NET}\n__version__ = "2"\n')
    _own_version.cache_clear()  # as in another process
    with pytest.warns(UserWarning, match="written with the plugin 'plugins' .*; here is 2"):
        load(file, plugins=["plugins"])


def test_a_layer_of_a_plugin_is_stored_with_what_is_changed_inside_it(subject: Subject, tmp_path: Path) -> None:
    made = sys.modules["plugins"]
    layer = made.Scaled(4, factor=0.5)
    layer.inner = nn.Sequential()
    layer.inner = nn.Linear(4, 4, bias=False)
    subject.model.fc = nn.Linear(64, 4)
    subject.model.out = layer
    write(subject, tmp_path / "model.cbp")
    header = unseal((tmp_path / "model.cbp").read_bytes()).header
    assert list(header["modules"]) == ["out", "out.inner"]
    assert header["plugins"][0][3] == ["plugins.Net", "plugins.Scaled"]
    images = torch.randn(2, 1, 8, 8)
    assert torch.equal(read(tmp_path / "model.cbp").model(images), subject.model.eval()(images))


def test_a_layer_that_does_not_keep_its_arguments_is_refused_when_written(subject: Subject, tmp_path: Path) -> None:
    subject.model.out = sys.modules["plugins"].Forgetful(4)
    with pytest.raises(ValueError, match=r"plugins\.Forgetful takes 'features', but keeps no number"):
        write(subject, tmp_path / "model.cbp")


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "subprocess.Popen",
        "plugins.subprocess.run",
        "plugins.Path",
        "plugins.Linear",  # torch's, imported there
        "plugins.wipe",
        "plugins.unsaid",
        "plugins.Table",
        "plugins.Net.__init__",
        "plugins.__builtins__.exec",
        "plugins.__loader__",
        "plugins..Net",
        "pluginsother.Net",
    ],
)
def test_no_file_names_anything_but_the_networks_and_layers_of_the_plugin(file: Path, target: str) -> None:
    Path("victim").touch()
    rewritten(file, architecture=[target, {"path": "victim"}])
    with pytest.raises(PackedFileError, match="cannot be read as a packed file"):
        load(file, plugins=["plugins"])
    content = {"out": {"type": target, "arguments": {"path": "victim"}}}
    rewritten(file, architecture=["plugins.Net", {"in_channels": 1, "classes": 3}], modules=content)
    with pytest.raises(PackedFileError, match="cannot be read as a packed file"):
        load(file, plugins=["plugins"])
    assert Path("victim").exists()


@pytest.mark.parametrize(
    "plugins",
    [
        [],  # it hides what it needs
        None,
        7,
        "plugins",
        ["plugins"],
        [["plugins", "plugins", "1"]],
        [["plugins", "plugins", "1", "plugins.Net"]],
        [["plugins", "plugins", "1", [7]]],
        [["x" * 1000, "plugins", "1", []]],
        [["a", "b", "c", []]] * 100,
        [["\x1b[2J", "os", "1", ["os.system"]]],
    ],
)
def test_what_a_file_says_of_its_plugins_may_be_anything(file: Path, plugins: Any) -> None:
    rewritten(file, plugins=plugins)
    with pytest.raises(PackedFileError) as caught:
        load(file)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600
    assert not Path("ran").exists()


def test_a_file_opens_no_plugin_that_a_recipe_has_not_named_or_nobody_asked_for(file: Path) -> None:
    with pytest.raises(PackedFileError, match="needs the plugin"):
        read(file)
    with only([]), pytest.raises(PackedFileError, match="needs the plugin"):
        read(file)
    assert not Path("ran").exists()
    use("plugins.Net")
    assert read(file).model.out.out_features == 3
