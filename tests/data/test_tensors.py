"""A split of tensors: any type, tuples too, in batches that hang on the generator alone."""

from __future__ import annotations

import pytest
import torch

from compressbench.data.made_up import MadeUp
from compressbench.data.tasks.language_modelling import LanguageModelling
from compressbench.data.tensors import TensorSplit

TOKENS, MASK = torch.arange(20).view(10, 2), torch.ones(10, 3, dtype=torch.bool)
LABELS = torch.tensor([0] * 8 + [1] * 2)


def test_without_a_generator_all_examples_come_in_order() -> None:
    inputs, targets = zip(*TensorSplit(TOKENS, LABELS).batches(4), strict=True)
    assert torch.equal(torch.cat(inputs), TOKENS)
    assert [len(batch) for batch in targets] == [4, 4, 2]


def test_with_one_they_are_shuffled_whole_batches_and_of_the_same_state_the_same() -> None:
    split = TensorSplit(TOKENS, LABELS)
    one, again, other = (
        [batch.tolist() for batch, _ in split.batches(4, torch.Generator().manual_seed(seed))] for seed in (1, 1, 2)
    )
    assert one == again != other
    assert [len(batch) for batch in one] == [4, 4]


def test_several_inputs_stay_together() -> None:
    split = TensorSplit((TOKENS, MASK), TOKENS[:, 0])
    for inputs, targets in split.batches(4, torch.Generator().manual_seed(0)):
        assert isinstance(inputs, tuple)
        assert torch.equal(inputs[0][:, 0], targets)
        assert inputs[1].dtype == torch.bool


def test_a_limit_keeps_labels_in_proportion_and_other_targets_evenly() -> None:
    assert TensorSplit(TOKENS, LABELS).limit(5).targets.tolist() == [0, 0, 0, 0, 1]
    assert TensorSplit(TOKENS, TOKENS).limit(5).targets[:, 0].tolist() == [0, 4, 8, 12, 16]
    assert len(TensorSplit(TOKENS, LABELS).limit(100)) == 10


def test_no_batch_is_empty() -> None:
    with pytest.raises(ValueError, match="batch_size is 0"):
        TensorSplit(TOKENS, LABELS).batches(0)


def test_made_up_examples_fit_their_task_and_are_always_the_same() -> None:
    dataset = MadeUp(LanguageModelling(7, 5), 12)
    one, other = dataset.load(), dataset.load()
    assert torch.equal(one.test.inputs, other.test.inputs)  # type: ignore[attr-defined]
    assert not torch.equal(one.test.inputs, one.train.inputs)  # type: ignore[attr-defined]
    assert int(one.train.inputs.max()) < 7  # type: ignore[attr-defined]
    assert dataset.fingerprint() != MadeUp(LanguageModelling(7, 5), 13).fingerprint()
    with pytest.raises(ValueError, match="examples is 0"):
        MadeUp(LanguageModelling(7, 5), 0)
