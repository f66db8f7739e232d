"""A small transformer that writes character by character."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from compressbench.core.errors import out_of_range

STD = 0.02


class GPT(nn.Module):
    """A decoder-only transformer with layer norm before each part (Radford et al. 2019, GPT-2, section 2.3).

    vocabulary: tokens there are. context: the longest text it reads, in tokens. width, depth, heads: of the blocks.
    Weights are drawn from N(0, 0.02), biases are 0. We differ from GPT-2: no dropout, the output layer has weights of
    its own, and the layers that add to the residual stream are not drawn smaller. ValueError for a width that the heads
    do not divide.
    """

    def __init__(self, vocabulary: int, context: int, width: int = 64, depth: int = 2, heads: int = 4):
        super().__init__()
        if width % heads:
            raise out_of_range("heads", heads, f"a divisor of width, which is {width}")
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(context, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.apply(_initialize)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits (n, length, vocabulary) of the token after each of tokens (n, length)."""
        places = torch.arange(tokens.shape[1], device=tokens.device)
        hidden = self.tokens(tokens) + self.positions(places)
        logits: Tensor = self.head(self.norm(self.blocks(hidden)))
        return logits


class Block(nn.Module):
    """Attention to what came before, then a perceptron; each adds to what it was given."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm_attention = nn.LayerNorm(width)
        self.attention = CausalAttention(width, heads)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, hidden: Tensor) -> Tensor:
        hidden = hidden + self.attention(self.norm_attention(hidden))
        added: Tensor = hidden + self.mlp(self.norm_mlp(hidden))
        return added


class CausalAttention(nn.Module):
    """Every place attends to itself and those before it (Vaswani et al. 2017, section 3.2.2)."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)

    def forward(self, hidden: Tensor) -> Tensor:
        split = self.qkv(hidden).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(split[0], split[1], split[2], is_causal=True)
        projected: Tensor = self.project(mixed.transpose(1, 2).flatten(2))
        return projected


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=STD)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
