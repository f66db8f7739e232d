"""An identity changes with what matters and with nothing else."""

from dataclasses import dataclass, field

import pytest

from compressbench.core.identity import NOT_IDENTITY, digest, essence


@dataclass(frozen=True)
class Before:
    ratio: float
    root: str = field(metadata=NOT_IDENTITY)


@dataclass(frozen=True)
class After:
    ratio: float
    root: str = field(metadata=NOT_IDENTITY)
    rounds: int = 1
    layers: list[str] = field(default_factory=list)


def test_where_something_lies_does_not_matter() -> None:
    assert digest(Before(0.5, "/here")) == digest(Before(0.5, "/there"))
    assert digest(Before(0.5, "/here")) != digest(Before(0.4, "/here"))


def test_a_field_added_later_with_the_old_behaviour_as_default_does_not_matter_until_it_is_used() -> None:
    assert essence(After(0.5, "/here")) == essence(Before(0.5, "/here")) == {"ratio": 0.5}
    assert digest(After(0.5, "/here", rounds=2)) != digest(Before(0.5, "/here"))
    assert digest(After(0.5, "/here", layers=["conv"])) != digest(Before(0.5, "/here"))


def test_the_order_of_keys_does_not_matter_and_the_order_of_a_list_does() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest([1, 2]) != digest([2, 1])


def test_an_identity_is_the_same_in_every_process_and_release() -> None:
    assert digest({"ratio": 0.5}) == "fdcca77c9fa75354"  # sha256 of {"ratio":0.5}


def test_what_has_no_identity_is_refused() -> None:
    with pytest.raises(TypeError, match="object"):
        digest(object())
