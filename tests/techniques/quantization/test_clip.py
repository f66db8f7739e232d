"""Latent weights stay in their range while they are trained, and not longer."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from compressbench.techniques._latent import latent
from compressbench.techniques.quantization._binary import Connect
from compressbench.techniques.quantization._clip import Clip, clipped
from tests.techniques.lending import bare


def test_weights_are_cut_at_once_and_whenever_promises_are_kept() -> None:
    subject = bare(nn.Sequential(nn.Linear(2, 1)))
    weight = subject.model.get_parameter("0.weight")
    with torch.no_grad():
        weight.copy_(torch.tensor([[3.0, -0.25]]))
    with clipped(subject, {"0.weight": 0.5}):
        assert weight.tolist() == [[0.5, -0.25]]
        with torch.no_grad():
            weight.fill_(-7)
        assert not subject.constraints[0].holds(subject.model)
        subject.enforce()
        assert weight.tolist() == [[-0.5, -0.5]]
        assert subject.constraints[0].holds(subject.model)
    assert subject.constraints == []


def test_around_latent_it_cuts_the_latent_weights() -> None:
    subject = bare(nn.Sequential(nn.Linear(2, 1)))
    with clipped(subject, {"0.weight": 1.0}), latent(subject, {"0.weight": Connect(0.5, stochastic=False)}):
        hidden = subject.model.get_parameter("0.parametrizations.weight.original")
        with torch.no_grad():
            hidden.copy_(torch.tensor([[3.0, -3.0]]))
        subject.enforce()
        assert hidden.tolist() == [[1.0, -1.0]]
    assert subject.model.get_parameter("0.weight").tolist() == [[0.5, -0.5]]
    assert subject.constraints == []


def test_it_ends_with_an_error_and_leaves_other_clips_alone() -> None:
    subject = bare(nn.Sequential(nn.Linear(2, 1)))
    other = Clip("0.weight", 9.0)
    subject.constraints.append(other)
    with pytest.raises(RuntimeError), clipped(subject, {"0.weight": 1.0}):
        raise RuntimeError
    assert subject.constraints == [other]
