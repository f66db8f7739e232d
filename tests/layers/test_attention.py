"""Attention with any number of heads computes what torch's does, and can be stored."""

from pathlib import Path

import pytest
import torch
from torch import nn

from compressbench.core.architecture import Architecture
from compressbench.core.subject import Subject
from compressbench.layers.attention import HeadAttention
from compressbench.packing.packed_file import read, write
from compressbench.techniques.pruning._attention import with_parts
from compressbench.testing.technique import check_same
from tests.techniques.lending import seeded


def attention(**options) -> nn.MultiheadAttention:
    found = seeded(lambda: nn.MultiheadAttention(8, 2, **options))
    for bias in (found.in_proj_bias, found.out_proj.bias):
        if bias is not None:
            nn.init.uniform_(bias, generator=torch.Generator().manual_seed(3))
    return found.eval()


def given(length: int, width: int = 8) -> torch.Tensor:
    return torch.randn(3, length, width, generator=torch.Generator().manual_seed(length))


MASKS = {
    "none": {},
    "numbers": {"attn_mask": torch.randn(5, 4, generator=torch.Generator().manual_seed(2))},
    "not there": {"attn_mask": torch.arange(4).expand(5, 4) > torch.arange(5)[:, None]},
    "padding": {"key_padding_mask": torch.tensor([[False] * 4, [False] * 3 + [True], [False, True, True, False]])},
}


@pytest.mark.parametrize("masks", MASKS)
@pytest.mark.parametrize("options", [{}, {"batch_first": True, "bias": False}], ids=["biased", "batch first"])
@pytest.mark.parametrize("weights", [{"need_weights": False}, {}, {"average_attn_weights": False}])
def test_it_computes_what_torchs_attention_does(masks, options, weights):
    theirs = attention(**options)
    ours = with_parts(theirs)
    query, keys = given(5), given(4)
    if not options:
        query, keys = query.transpose(0, 1), keys.transpose(0, 1)
    found, expected = (each(query, keys, keys, **MASKS[masks], **weights) for each in (ours, theirs))
    torch.testing.assert_close(found[0], expected[0])
    torch.testing.assert_close(found[1], expected[1])


def test_making_it_draws_no_random_numbers():
    theirs, state = attention(), torch.get_rng_state()
    with_parts(theirs)
    assert torch.equal(torch.get_rng_state(), state)


def test_an_encoder_layer_takes_no_shortcut_around_it():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    with torch.no_grad():
        expected = layer(given(5))
        layer.self_attn = with_parts(layer.self_attn)
        torch.testing.assert_close(layer(given(5)), expected, rtol=1e-4, atol=1e-5)


def test_an_encoder_given_padding_takes_none_either():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    encoder, padding = nn.TransformerEncoder(layer, 2).eval(), torch.tensor([[False] * 4 + [True]] * 3)
    with torch.no_grad():
        expected = encoder(given(5), src_key_padding_mask=padding)[:, :4]
        for block in encoder.layers:
            block.self_attn = with_parts(block.self_attn)
        found = encoder(given(5), src_key_padding_mask=padding)[:, :4]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [{"add_zero_attn": True}, {"add_bias_kv": True}, {"kdim": 4}])
def test_attention_with_more_than_heads_is_left_alone(options):
    assert "keys or values" in with_parts(attention(**options))


def test_a_file_stores_it_and_what_later_stages_put_into_it(tmp_path: Path):
    arguments = {"vocabulary": 16, "context": 8, "width": 16, "depth": 2, "heads": 4}
    architecture = Architecture("compressbench.zoo.gpt.GPT", arguments)
    subject = Subject(seeded(architecture.build), architecture)
    subject.replace_module("blocks.0.attention", seeded(lambda: HeadAttention(16, 3, 4, dropout=0.5)))
    subject.replace_module("blocks.0.attention.key", seeded(lambda: nn.Linear(16, 12, bias=False)))
    write(subject, tmp_path / "model.cbp")
    decoded = read(tmp_path / "model.cbp")
    check_same(decoded, subject)
    stored = decoded.model.get_submodule("blocks.0.attention")
    assert (stored.heads, stored.head_width, stored.dropout, stored.key.bias) == (3, 4, 0.5, None)
