"""Attention with as many heads as are left."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional


class _Apart:
    """Stands where nn.TransformerEncoder looks for packed weights; as no plain tensor it keeps it from a shortcut."""

    @classmethod
    def __torch_function__(cls, *_: Any) -> Any:
        raise TypeError("the weights of queries, keys and values are layers of their own")


class HeadAttention(nn.Module):
    """What `nn.MultiheadAttention` computes, whose heads always fill the width; here any number of them do.

    width: of what comes in and goes out. heads: there are. head_width: numbers a head mixes. biased: whether the layers
    have biases. dropout: of the attention, while training. batch_first: whether inputs are (n, length, width), else
    (length, n, width). The parts, `query`, `key`, `value` and `out_proj`, are linear layers.
    """

    in_proj_bias: ClassVar[None] = None  # nn.TransformerEncoderLayer asks, and then takes no shortcut around `forward`
    in_proj_weight: ClassVar[_Apart] = _Apart()  # and nn.TransformerEncoder, given padding

    def __init__(
        self,
        width: int,
        heads: int,
        head_width: int,
        biased: bool = True,
        dropout: float = 0.0,
        batch_first: bool = False,
    ):
        super().__init__()
        self.width, self.heads, self.head_width = width, heads, head_width
        self.biased, self.dropout, self.batch_first = biased, dropout, batch_first
        self.query = nn.Linear(width, heads * head_width, biased)
        self.key = nn.Linear(width, heads * head_width, biased)
        self.value = nn.Linear(width, heads * head_width, biased)
        self.out_proj = nn.Linear(heads * head_width, width, biased)

    @property
    def num_heads(self) -> int:
        """`heads`, by the name it has in nn.MultiheadAttention."""
        return self.heads

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Return what `nn.MultiheadAttention` does: the outputs, and the attention if `need_weights`.

        Masks are added if they are numbers; where they are True nothing is looked at. is_causal is a hint that
        `attn_mask` says too. An `attn_mask` for each head is not supported.
        """
        if not self.batch_first:
            query, key, value = (each.transpose(0, 1) for each in (query, key, value))
        projected = (self.query(query), self.key(key), self.value(value))
        queries, keys, values = (each.unflatten(2, (-1, self.head_width)).transpose(1, 2) for each in projected)
        mask = _merged(attn_mask, key_padding_mask, queries)
        dropout = self.dropout if self.training else 0.0
        weights = None
        if need_weights:
            scores = queries @ keys.transpose(2, 3) / self.head_width**0.5
            weights = functional.dropout((scores if mask is None else scores + mask).softmax(-1), dropout)
            mixed = weights @ values
            weights = weights.mean(1) if average_attn_weights else weights
        else:
            mixed = functional.scaled_dot_product_attention(queries, keys, values, mask, dropout)
        outputs: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return (outputs if self.batch_first else outputs.transpose(0, 1)), weights


def _merged(attention: Tensor | None, padding: Tensor | None, like: Tensor) -> Tensor | None:
    """Return both masks as one to add, (n or 1, 1, length, length of the keys), or None without any."""
    masks = []
    if attention is not None:
        masks.append(_to_add(attention, like)[None, None])
    if padding is not None:
        masks.append(_to_add(padding, like)[:, None, None, :])
    return sum(masks[1:], masks[0]) if masks else None


def _to_add(mask: Tensor, like: Tensor) -> Tensor:
    if mask.dtype != torch.bool:
        return mask.to(like.dtype)
    return torch.zeros_like(mask, dtype=like.dtype).masked_fill_(mask, -torch.inf)
