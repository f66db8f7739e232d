"""Given weights become the network's, and it is said how."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from compressbench.core.architecture import Architecture
from compressbench.core.model import Model, Weights
from compressbench.core.subject import Subject
from compressbench.packing import packed_file
from compressbench.running.given_weights import give_weights, weights_fault

LENET = Architecture("compressbench.zoo.lenet.LeNet5", {"in_channels": 1, "classes": 4, "image_size": 28})


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False)
        self.norm = nn.BatchNorm1d(3)
        self.head.weight = self.embedding.weight


def given(file: str, **said: object) -> Model:
    return Model("net", LENET, Weights(file, **said) if said else file)  # type: ignore[arg-type]


def test_tied_tensors_and_counters_of_batches_need_no_other() -> None:
    source, network = Tied(), Tied()
    state = {name: each for name, each in source.state_dict().items() if "head" not in name and "num_" not in name}
    torch.save(state, "tied.pt")
    assert give_weights(network, given("tied.pt")) == "all 5 tensors by name"
    assert torch.equal(network.head.weight, source.embedding.weight)
    assert network.head.weight is network.embedding.weight


def test_a_packed_file_gives_its_networks_weights() -> None:
    source = LENET.build()
    packed_file.write(Subject(source, LENET), Path("given.cbp"))
    network = LENET.build()
    give_weights(network, given("given.cbp"))
    assert torch.equal(network.get_parameter("conv1.weight"), source.get_parameter("conv1.weight"))


def test_half_precision_is_widened_and_said_and_whole_numbers_are_refused() -> None:
    network = LENET.build()
    torch.save({name: each.half() for name, each in network.state_dict().items()}, "half.pt")
    assert give_weights(LENET.build(), given("half.pt")) == "all 8 tensors by name; float16 to float32"
    torch.save({name: each.to(torch.int8) for name, each in network.state_dict().items()}, "int8.pt")
    assert "conv1.weight is of int8; whole numbers are no weights" in str(weights_fault(given("int8.pt"), network))


def test_the_recipes_renaming_and_what_was_not_needed_are_said() -> None:
    state = {name.replace("fc", "linear"): each for name, each in LENET.build().state_dict().items()}
    torch.save({**state, "positions": torch.arange(3)}, "named.pt")
    said = give_weights(LENET.build(), given("named.pt", rename={"linear": "fc"}))
    assert said == "all 8 tensors by name; renamed by the recipe; positions not needed"
    assert "rename gives several tensors of the file the name " in str(
        weights_fault(given("named.pt", rename={"linear1": "fc1", "linear2": "fc1"}), LENET.build())
    )


def test_the_identity_is_the_files_content_and_how_it_is_read() -> None:
    torch.save(LENET.build().state_dict(), "a.pt")
    Path("b.pt").write_bytes(Path("a.pt").read_bytes())
    plain = given("a.pt").weights_id()
    assert plain == given("b.pt").weights_id() == Model("net", LENET, Weights("a.pt")).weights_id()
    assert plain != given("a.pt", rename={"a": "b"}).weights_id()
    assert plain != given("a.pt", key="model").weights_id()


@pytest.mark.parametrize("name", ["nothing.pt", "IMAGENET1K_V1"])
def test_neither_a_file_nor_a_weight_set_is_a_fault(name: str) -> None:
    assert "is no file, and published weight sets exist only for" in str(weights_fault(given(name), LENET.build()))
