"""DoReFa-Net: networks of few bits learn, and are stored with as many."""

import pytest
import torch

from compressbench.core.format import Binary, Codebook
from compressbench.layers.activations import DorefaActivation
from compressbench.techniques.quantization.dorefa import DorefaNetwork
from tests.techniques.lending import ALEXNET, BND, StageContext, subject_of, trained_by
from tests.techniques.quantization.learned import (
    FIELDS,
    DigitsContext,
    accuracy,
    assert_plain,
    assert_stored_exactly,
    learned,
)


def dorefa(bits=2, **changes):
    given = {"weight_bits": bits, "activation_bits": bits, "gradient_bits": 32, "targets": ["conv", "linear"]}
    return trained_by(DorefaNetwork, **{**FIELDS, **given, "ignore": ["first", "last"], **changes})


@pytest.mark.parametrize(("bits", "least"), [(1, 0.9), (2, 0.93), (4, 0.95)])
def test_digits_are_learned_with_weights_and_activations_of_few_bits(bits, least):
    subject = dorefa(bits).apply(learned(), DigitsContext())
    assert accuracy(subject) > least
    assert_stored_exactly(subject)
    assert subject.formats == {"4.weight": Binary() if bits == 1 else Codebook(bits)}
    assert 2 ** (bits - 1) < len(subject.model[4].weight.unique()) <= 2**bits
    assert_plain(subject)


def test_digits_are_learned_with_gradients_of_few_bits():
    subject = dorefa(2, gradient_bits=6).apply(learned(), DigitsContext())
    assert accuracy(subject) > 0.93


def test_activations_have_as_many_values_as_their_bits_say():
    subject, seen = dorefa(3, epochs=1).apply(subject_of(ALEXNET, **BND), StageContext()), []
    activations = [module for module in subject.model.modules() if isinstance(module, DorefaActivation)]
    for activation in activations:
        activation.register_forward_hook(lambda module, inputs, output: seen.append(output))
    with torch.no_grad():
        subject.model.eval()(torch.randn(4, 3, 32, 32))
    assert len(seen) == len(activations) == 7
    assert all(len(output.unique()) <= 8 and output.min() >= 0 and output.max() <= 1 for output in seen)


def test_32_bits_leave_weights_or_activations():
    subject = dorefa(weight_bits=32).apply(learned(), DigitsContext())
    assert subject.formats == {}
    assert subject.constraints == []
    subject = dorefa(activation_bits=32).apply(learned(), DigitsContext())
    assert not any(isinstance(module, DorefaActivation) for module in subject.model.modules())


def test_gradients_are_quantized_by_activations_only():
    with pytest.raises(ValueError, match="gradient_bits is 4, but activation_bits is 32"):
        dorefa(activation_bits=32, gradient_bits=4)
