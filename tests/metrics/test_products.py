"""Layers of any kind are counted, by hand's figures, or listed as not counted."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from compressbench.metrics.macs import layer_table, mac_counts
from compressbench.metrics.parameters import parameter_counts

TOKENS, WIDTH = 5, 8
ATTENTION = 3 * WIDTH * WIDTH * TOKENS + 2 * TOKENS * TOKENS * WIDTH + WIDTH * WIDTH * TOKENS
"""Queries, keys and values; scores and their use; the output."""


def ones(layer: nn.Module) -> nn.Module:
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.fill_(1)
    return layer


class Functional(nn.Module):
    """Attention by hand with linear layers: what is no layer is a function."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, tokens: Tensor) -> Tensor:
        parts = self.qkv(tokens).view(len(tokens), TOKENS, 3, 2, WIDTH // 2).permute(2, 0, 3, 1, 4)
        found = functional.scaled_dot_product_attention(*parts, is_causal=True)
        return self.out(found.transpose(1, 2).reshape(tokens.shape))


class SelfAttention(nn.MultiheadAttention):
    def forward(self, tokens: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(tokens, tokens, tokens)[0]


class Tokens(nn.Module):
    """Bare parameters: a class token, positions, a scale for each channel; and a head tied to the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(11, WIDTH), nn.Linear(WIDTH, 11, bias=False)
        self.head.weight = self.embedding.weight
        self.first = nn.Parameter(torch.ones(1, 1, WIDTH))
        self.positions = nn.Parameter(torch.ones(1, TOKENS + 1, WIDTH))
        self.scale = nn.Parameter(torch.ones(WIDTH))

    def forward(self, words: Tensor) -> Tensor:
        tokens = torch.cat([self.first.expand(len(words), -1, -1), self.embedding(words)], 1) + self.positions
        return self.head(tokens * self.scale)


class Einsum(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3, 4, 5))

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.einsum("bi,ijk->bjk", inputs, self.weight)


@pytest.mark.parametrize(
    ("layer", "example", "macs"),
    [
        # each step uses each weight once: 4 gates x hidden x (inputs + hidden)
        (nn.LSTM(4, 5, batch_first=True), torch.ones(1, 7, 4), 7 * 4 * 5 * (4 + 5)),
        (nn.LSTM(4, 5, proj_size=2, batch_first=True), torch.ones(1, 7, 4), 7 * (4 * 5 * (4 + 2) + 5 * 2)),
        (nn.GRU(4, 5, 2, batch_first=True, bidirectional=True), torch.ones(1, 7, 4), 7 * 2 * 15 * (4 + 5 + 10 + 5)),
        (nn.RNN(4, 5, batch_first=True), torch.ones(1, 7, 4), 7 * 5 * (4 + 5)),
        (nn.LSTMCell(4, 5), torch.ones(1, 4), 4 * 5 * (4 + 5)),
        (SelfAttention(WIDTH, 2, batch_first=True), torch.ones(1, TOKENS, WIDTH), ATTENTION),
        (Functional(), torch.ones(1, TOKENS, WIDTH), ATTENTION),
        (
            nn.TransformerEncoderLayer(WIDTH, 2, 16, batch_first=True),
            torch.ones(1, TOKENS, WIDTH),
            ATTENTION + 2 * TOKENS * WIDTH * 16,
        ),
        (Tokens(), torch.zeros(1, TOKENS, dtype=torch.int64), (TOKENS + 1) * WIDTH * 11),
        (Einsum(), torch.ones(1, 3), 60),
    ],
    ids=["LSTM", "projected", "GRU", "RNN", "cell", "attention", "functional", "transformer", "tokens", "einsum"],
)
def test_a_layer_costs_what_is_counted_by_hand(layer: nn.Module, example: Tensor, macs: int) -> None:
    ones(layer)
    assert mac_counts(layer, example) == {"macs": macs, "macs_nonzero": macs}
    rows = layer_table(layer, example)
    assert sum(row["params"] for row in rows) == parameter_counts(layer)["params"]
    assert not any("not_counted" in row for row in rows)
    assert mac_counts(layer.to("meta"), example.to("meta")) == {"macs": macs}


def test_weights_that_are_zero_save_what_they_would_cost() -> None:
    with torch.no_grad():
        recurrent = ones(nn.LSTM(4, 5, batch_first=True))
        recurrent.get_parameter("weight_hh_l0")[:10] = 0  # 50 of 180
        attention = ones(SelfAttention(WIDTH, 2, batch_first=True))
        attention.get_parameter("in_proj_weight")[:WIDTH] = 0  # the queries' 64 of 192
        einsum = ones(Einsum())
        einsum.get_parameter("weight")[0] = 0  # 20 of 60
    assert mac_counts(recurrent, torch.ones(1, 7, 4))["macs_nonzero"] == 7 * 130
    counts = mac_counts(attention, torch.ones(1, TOKENS, WIDTH))
    assert counts["macs_nonzero"] == ATTENTION - WIDTH * WIDTH * TOKENS
    assert mac_counts(einsum, torch.ones(1, 3))["macs_nonzero"] == 40


def test_what_has_no_formula_is_listed_and_the_rest_counts() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.odd, self.fc = nn.Bilinear(4, 4, 4), nn.Linear(4, 2)

        def forward(self, inputs: Tensor) -> Tensor:
            return self.fc(self.odd(inputs, inputs))

    rows = {row["name"]: row for row in layer_table(Both(), torch.ones(1, 4))}
    assert rows["odd"]["not_counted"] == ["_trilinear"]
    assert (rows["odd"]["params"], rows["odd"]["macs"], rows["fc"]["macs"]) == (68, 0, 8)


def test_the_network_and_torchs_switches_come_back_as_they_were() -> None:
    network = nn.TransformerEncoderLayer(WIDTH, 2, 16, batch_first=True)
    layer_table(network, torch.ones(1, TOKENS, WIDTH))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
    assert torch.backends.mha.get_fastpath_enabled()
