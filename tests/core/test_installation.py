"""What a message about a missing package says to do."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from compressbench.core import installation


def test_in_a_checkout_the_extra_is_installed_from_there():
    assert installation.missing(["onnx", "onnxscript"], "onnx") == (
        "onnx, onnxscript cannot be imported; install the extra `onnx` of compressbench: "
        f"pip install -e '.[onnx]' in {installation.CHECKOUT}"
    )


@pytest.mark.parametrize(
    ("noted", "origin"),
    [
        ('{"url": "file:///d/compressbench-1-py3-none-any.whl"}', "file:///d/compressbench-1-py3-none-any.whl"),
        ('{"url": "https://host/it", "vcs_info": {"vcs": "git"}}', "git+https://host/it"),
        (None, "ADDRESS OF ITS WHEEL OR REPOSITORY"),
    ],
)
def test_a_wheel_is_installed_again_from_where_it_came_from_not_by_its_bare_name(monkeypatch, tmp_path, noted, origin):
    monkeypatch.setattr(installation, "CHECKOUT", tmp_path)
    monkeypatch.setattr("importlib.metadata.distribution", lambda name: SimpleNamespace(read_text=lambda file: noted))
    assert installation.missing(["onnx"], "onnx").endswith(f"pip install 'compressbench[onnx] @ {origin}'")
