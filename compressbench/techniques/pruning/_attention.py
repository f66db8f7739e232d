"""Where the heads of a network's attention are, and how some are taken out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from compressbench.layers.attention import HeadAttention

COUNTS = ("heads", "num_heads", "num_attention_heads")
"""What networks call the number of heads, an attribute of the module that attends."""
FUSED = ("qkv", "in_proj")
SEPARATE = (("query", "key", "value"), ("q_proj", "k_proj", "v_proj"), ("to_q", "to_k", "to_v"))
OUT = ("project", "proj", "out_proj", "o_proj")
WIDTHS = ("attn_dim", "inner_dim", "all_head_size")
"""What some call the width of all heads together."""


@dataclass(frozen=True)
class Heads:
    """How a module attends. attribute: what it calls the number of heads. count: that. projections: its linear layers
    of queries, keys and values, or the one that makes all three, in this order. out: the one that reads all heads.
    """

    attribute: str
    count: int
    projections: tuple[str, ...]
    out: str


def attentions(model: nn.Module) -> dict[str, nn.Module]:
    """Return the modules that attend, by name: those of torch and ours, and any that counts its heads and has linear
    layers of its own."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.MultiheadAttention)
        or (_attribute(module) and any(isinstance(child, nn.Linear) for child in module.children()))
    }


def heads_of(module: nn.Module) -> Heads | str:
    """Return how a module attends, or why its heads cannot be removed."""
    attribute, linear = _attribute(module), {n: c for n, c in module.named_children() if isinstance(c, nn.Linear)}
    fused = [(name,) for name in FUSED if name in linear]
    separate = [names for names in SEPARATE if all(name in linear for name in names)]
    out = [name for name in OUT if name in linear]
    if not attribute or not out or len(fused) + len(separate) != 1:
        return f"it has {', '.join(linear) or 'no linear layers'}, of which not all roles are known"
    projections = (fused or separate)[0]
    count, width = getattr(module, attribute), linear[out[0]].in_features
    if width % count or any(linear[name].out_features * len(projections) != 3 * width for name in projections):
        return "its heads do not have queries, keys and values of one width"
    return Heads(attribute, count, projections, out[0])


def _attribute(module: nn.Module) -> str:
    """Return what a module calls the number of its heads, or nothing."""
    return next((name for name in COUNTS if type(vars(module).get(name)) is int), "")


@torch.no_grad()
def silence_heads(module: nn.Module, heads: Heads, gone: list[int]) -> None:
    """Let nothing read these heads any more, in place."""
    weight = module.get_submodule(heads.out).get_parameter("weight")
    weight[:, ~_kept(weight.shape[1], heads.count, gone).to(weight.device)] = 0


def remove_heads(module: nn.Module, heads: Heads, gone: list[int]) -> None:
    """Take these heads out, in place."""
    out = module.get_submodule(heads.out)
    assert isinstance(out, nn.Linear)
    keep = _kept(out.in_features, heads.count, gone).to(out.weight.device)
    for name in WIDTHS:
        if vars(module).get(name) == out.in_features:
            setattr(module, name, int(keep.sum()))
    for name in heads.projections:
        projection = module.get_submodule(name)
        assert isinstance(projection, nn.Linear)
        rows = keep.repeat(3) if len(heads.projections) == 1 else keep
        for key, parameter in list(projection.named_parameters(recurse=False)):
            setattr(projection, key, nn.Parameter(parameter.detach()[rows], parameter.requires_grad))
        projection.out_features = int(rows.sum())
    out.weight = nn.Parameter(out.weight.detach()[:, keep], out.weight.requires_grad)
    out.in_features = int(keep.sum())
    setattr(module, heads.attribute, heads.count - len(gone))


def _kept(width: int, count: int, gone: list[int]) -> Tensor:
    """Return which columns of all heads stay, boolean, (width,)."""
    stay = torch.ones(count, dtype=torch.bool)
    stay[gone] = False
    return stay.repeat_interleave(width // count)


@torch.no_grad()
def with_parts(attention: nn.MultiheadAttention) -> HeadAttention | str:
    """Return what computes the same with any number of heads, sharing no tensor, or why there is nothing."""
    width, heads, packed = attention.embed_dim, attention.num_heads, attention.in_proj_weight
    if packed is None or attention.bias_k is not None or attention.add_zero_attn:
        return "it reads keys or values of another width, or adds some of its own"
    biased = attention.in_proj_bias is not None
    with torch.device("meta"):  # draws nothing
        found = HeadAttention(width, heads, width // heads, biased, attention.dropout, attention.batch_first)
    found = found.to_empty(device=packed.device).to(packed.dtype).train(attention.training)
    parts = (found.query, found.key, found.value)
    for part, weight in zip(parts, packed.chunk(3), strict=True):
        part.weight.copy_(weight).requires_grad_(packed.requires_grad)
    if biased:
        for part, bias in zip(parts, attention.in_proj_bias.chunk(3), strict=True):
            part.bias.copy_(bias).requires_grad_(attention.in_proj_bias.requires_grad)
    for key, parameter in attention.out_proj.named_parameters():
        found.out_proj.get_parameter(key).copy_(parameter).requires_grad_(parameter.requires_grad)
    return found
