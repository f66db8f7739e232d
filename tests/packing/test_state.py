"""Tied tensors are stored once and come back tied; what the constructor makes again is not stored."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from compressbench.core.architecture import Architecture
from compressbench.core.constraint import Mask
from compressbench.core.format import Codebook
from compressbench.core.plugins import use
from compressbench.core.subject import Subject
from compressbench.packing import packed_file
from compressbench.packing.state import stored, ties
from tests.users_plugins import write_plugins

PLUGIN = """\
import torch
from torch import nn


class Speaker(nn.Module):
    def __init__(self, vocabulary, width=4):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.embedding.weight
        self.register_buffer("places", torch.arange(9), persistent=False)
        self.scale = 1 / torch.arange(1, width + 1)

    def forward(self, words):
        return self.head(self.lstm(self.embedding(words))[0] * self.scale + self.places[3])
"""
WORDS = torch.tensor([[1, 2, 3]])


@pytest.fixture
def subject() -> Subject:
    write_plugins(PLUGIN)
    use("plugins.Speaker")
    architecture = Architecture("plugins.Speaker", {"vocabulary": 6})
    return Subject(architecture.build().eval(), architecture)


def read(subject: Subject) -> Subject:
    packed_file.write(subject, Path("model.cbp"))
    return packed_file.read(Path("model.cbp"))


def test_a_tied_tensor_is_stored_once_and_comes_back_tied(subject: Subject) -> None:
    assert ties(subject.model) == {"head.weight": "embedding.weight"}
    again = read(subject)
    assert [entry.name for entry, _ in packed_file.entries(Path("model.cbp"))].count("head.weight") == 0
    assert again.model.head.weight is again.model.embedding.weight
    assert torch.equal(again.model(WORDS), subject.model(WORDS))


def test_its_format_may_be_said_under_either_name(subject: Subject) -> None:
    with torch.no_grad():
        subject.model.head.weight.copy_(subject.model.head.weight.sign())
    subject.formats["head.weight"] = Codebook(1)
    subject.constraints.append(Mask("head.weight", torch.ones(6, 4, dtype=torch.bool)))
    again = read(subject)
    assert again.formats == {"embedding.weight": Codebook(1), "head.weight": Codebook(1)}


def test_a_tie_that_was_cut_stays_cut(subject: Subject) -> None:
    subject.model.head.weight = torch.nn.Parameter(subject.model.head.weight.detach() + 1)
    again = read(subject)
    assert torch.equal(again.model.head.weight, again.model.embedding.weight + 1)
    assert torch.equal(again.model(WORDS), subject.model(WORDS))


def test_a_buffer_that_the_constructor_does_not_make_so_is_refused(subject: Subject) -> None:
    tensors, _ = stored(subject.model, subject.architecture.lay_out())
    assert "places" not in tensors
    subject.model.places[3] = 0
    with pytest.raises(ValueError, match="places is not in the state of its network, so it cannot be stored"):
        packed_file.sealed(subject)
