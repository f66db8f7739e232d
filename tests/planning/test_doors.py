"""Networks of other packages by their names there."""

from __future__ import annotations

import sys

import pytest

from compressbench.app.listing import entries, look_up
from compressbench.core.errors import PlanError
from compressbench.planning import doors
from compressbench.planning.complete import complete
from tests.planning.plans import built


def test_names_are_read_without_importing_the_package() -> None:
    loaded = set(sys.modules)
    assert {"resnet18", "vit_b_16", "swin_t"} <= set(doors.names("torchvision"))
    assert "torchvision" not in set(sys.modules) - loaded


def test_they_are_torchvisions_own_list() -> None:
    from compressbench.zoo.torchvision_models import model_names

    assert doors.names("torchvision") == sorted(model_names())


def test_a_list_says_how_many_there_are_and_a_door_or_the_beginning_of_a_name_which() -> None:
    lines = {entry.name: entry.summary for entry in entries("models")}
    assert lines["torchvision/"] == f"{len(doors.names('torchvision'))} networks of torchvision"
    assert "torchvision/resnet18" not in lines
    assert [entry.name for entry in look_up("torchvision/resnet1").below] == [
        f"torchvision/resnet{depth}" for depth in (101, 152, 18)
    ]
    assert len(look_up("torchvision/").below) == len(doors.names("torchvision"))


def test_a_name_is_completed_behind_its_door() -> None:
    assert complete(["run", "model=torchv"]) == ["model=torchvision/"]
    assert complete(["run", "model=alexnet,torchvision/vit_b_"]) == [
        f"model=alexnet,torchvision/vit_b_{patch} " for patch in (16, 32)
    ]


def test_a_plan_names_it_and_builds_it_with_what_the_data_says(row: object) -> None:
    model = built("recipe=row", "model=torchvision/resnet34").model
    assert model.name == "torchvision/resnet34"
    assert model.architecture.arguments == {"in_channels": 1, "classes": 10, "name": "resnet34"}
    with_options = built("recipe=row", "model=torchvision/vit_b_32", "model.options={image_size: 32}").model
    assert with_options.architecture.arguments["options"] == {"image_size": 32}


@pytest.mark.parametrize("name", ["torchvision/resnet19", "torchvision/"])
def test_one_that_is_not_there_is_a_fault_with_the_nearest(row: object, name: str) -> None:
    with pytest.raises(PlanError, match=r"there is no 'torchvision/.*compressbench list torchvision/") as caught:
        built("recipe=row", f"model={name}")
    assert name == "torchvision/" or "did you mean torchvision/resnet1" in str(caught.value)


def test_a_package_that_is_not_installed_names_the_extra(row: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "names", lambda door: [])
    with pytest.raises(PlanError, match="is 'timm/resnet10t', but timm cannot be imported; install the extra `timm`"):
        built("recipe=row", "model=timm/resnet10t")
