"""What stands behind `run`: flags, where they may stand, and those that are not offered."""

from __future__ import annotations

import pytest

from compressbench.cli.run import parse_arguments
from compressbench.core.errors import PlanError


@pytest.mark.parametrize(
    "arguments",
    [
        ["-m", "recipe=row", "seed=1,2"],
        ["recipe=row", "-m", "seed=1,2"],
        ["recipe=row", "seed=1,2", "--multirun"],
        ["recipe=row", "hydra.mode=MULTIRUN", "seed=1,2"],
    ],
)
def test_flags_may_stand_anywhere(arguments: list[str]) -> None:
    given = parse_arguments(arguments)
    assert given.multirun
    assert [word for word in given.overrides if not word.startswith("hydra")] == ["recipe=row", "seed=1,2"]


@pytest.mark.parametrize("arguments", [["--foo"], ["--cfg", "nothing"], ["--resolve"], ["--config-path", "x"]])
def test_flags_that_are_not_offered_are_refused_in_words(arguments: list[str]) -> None:
    with pytest.raises(PlanError):
        parse_arguments(arguments)
