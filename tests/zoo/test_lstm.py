"""The LSTM is torch's."""

from __future__ import annotations

import torch
from torch import nn

from compressbench.zoo.lstm import LSTM, LSTMClassifier, LSTMLanguageModel
from tests.zoo.causal import assert_causal


def test_no_place_of_a_text_sees_what_comes_after_it() -> None:
    torch.manual_seed(0)
    assert_causal(LSTMLanguageModel(11, width=16, layers=2))


def test_our_lstm_is_torchs() -> None:
    torch.manual_seed(0)
    ours, theirs = LSTM(3, 4), nn.LSTM(3, 4, batch_first=True)
    # Ours: add, forget, write, give. Theirs: input, forget, cell, output: the same order under other names.
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(ours.read.weight)
        theirs.weight_hh_l0.copy_(ours.recur.weight)
        theirs.bias_ih_l0.copy_(ours.read.bias)
        theirs.bias_hh_l0.zero_()
    vectors = torch.randn(2, 5, 3)
    assert torch.allclose(ours(vectors), theirs(vectors)[0], atol=1e-6)


def test_it_classifies_by_its_last_state() -> None:
    torch.manual_seed(0)
    model, rows = LSTMClassifier(3, 7, width=4, layers=2), torch.randn(2, 5, 3)
    assert model(rows).shape == (2, 7)
    assert torch.equal(model(rows), model.head(model.lstm(rows)[:, -1]))
