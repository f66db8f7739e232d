"""What a technique of a plugin does wrong is said in one line, with the place in its file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.commands import Captured, recipe, refused

PLUGIN = """
from dataclasses import dataclass

from compressbench.core.technique import Technique


@dataclass(frozen=True)
class Broken(Technique):
    def apply(self, subject, context):
        return subject.nothing_like_it()


@dataclass(frozen=True)
class Forgetful(Technique):
    def apply(self, subject, context):
        subject.enforce()
"""


@pytest.mark.parametrize("verb", ["check", "run"])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Broken", "plugins.Broken raises AttributeError: 'Subject' object has no attribute 'nothing_like_it'"),
        ("Forgetful", "plugins.Forgetful returns a NoneType; a technique returns the Subject"),
    ],
)
def test_it_is_bad_input_before_anything_is_trained(name: str, said: str, verb: str, capsys: Captured) -> None:
    Path("plugins.py").write_text(PLUGIN)
    network = "model: {name: lenet_300_100, image_size: 32}\ndataset: digits\n"
    stages = "stages:\n  train: {technique: training/from_scratch}\n  own: {technique: plugins.%s}\n" % name  # noqa: UP031
    printed = refused(capsys, verb, recipe(network + stages, "own"))
    assert f"stages.own: {said}" in printed
    assert ("(plugins.py, line 10)" in printed) == (name == "Broken")
    assert "Traceback" not in printed
