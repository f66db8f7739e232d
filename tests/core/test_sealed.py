"""Sealed JSON comes back as it was, or not at all."""

from __future__ import annotations

import json

import pytest

from compressbench.core.sealed import sealed, unsealed

CONTENT = {"b": [1, 2.5, None], "a": {"x": "ü", "y": float("inf")}, "1": True}


def test_what_was_sealed_comes_back_in_its_order_whatever_the_white_space() -> None:
    assert list(unsealed(sealed(CONTENT)).items()) == list(CONTENT.items())
    assert unsealed(json.dumps(json.loads(sealed(CONTENT)), indent=7).encode()) == CONTENT


@pytest.mark.parametrize(
    ("old", "new"), [("2.5", "2.6"), ('"a"', '"c"'), ("true", "false"), ("null", "[]"), ('"digest": "', '"digest": "0')]
)
def test_any_edit_is_found(old: str, new: str) -> None:
    text = sealed(CONTENT)
    assert old in text
    with pytest.raises(ValueError, match="its digest is another one"):
        unsealed(text.replace(old, new, 1))


def test_what_has_no_digest_is_taken_as_it_is() -> None:
    assert unsealed(json.dumps(CONTENT)) == CONTENT


@pytest.mark.parametrize("text", [b"", b"[1]", b"7", b"\xff\xfe", b"[" * 100_000, b'{"a": 1'])
def test_what_is_no_json_object_is_a_value_error(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        unsealed(text)
