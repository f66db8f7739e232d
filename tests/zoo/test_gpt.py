"""The transformer is the one its paper describes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from compressbench.zoo.gpt import GPT
from tests.zoo.causal import assert_causal


def test_no_place_of_a_text_sees_what_comes_after_it() -> None:
    torch.manual_seed(0)
    model = GPT(11, 8, width=16)
    nn.init.normal_(model.head.weight)  # so that answers are apart from each other
    assert_causal(model)


def test_it_has_as_many_parameters_as_its_paper_counts() -> None:
    width, depth, vocabulary, context = 32, 3, 11, 8
    block = 12 * width**2 + 13 * width  # qkv and projection 4, perceptron 8; biases 3 + 1 + 4 + 1, two norms 4
    expected = depth * block + 2 * vocabulary * width + context * width + 2 * width
    assert sum(each.numel() for each in GPT(vocabulary, context, width, depth).parameters()) == expected


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(ValueError, match="heads is 5; allowed: a divisor of width"):
        GPT(11, 8, width=16, heads=5)
