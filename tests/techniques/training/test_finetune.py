"""Fine-tuning."""

from __future__ import annotations

import torch

from compressbench.core.constraint import Mask
from compressbench.techniques.training.finetune import Finetune
from tests.techniques.lending import PLAIN, StageContext, subject_of, trained_by
from tests.techniques.training.test_from_scratch import FIELDS


def test_it_trains_on_and_keeps_masks() -> None:
    subject = subject_of("compressbench.zoo.alexnet.AlexNet", **PLAIN)
    weight = subject.model.get_parameter("fc1.weight")
    before = weight.detach().clone()
    subject.constraints.append(Mask("fc1.weight", before > 0))
    context, technique = StageContext(), trained_by(Finetune, **FIELDS)
    result = technique.apply(subject, context)
    assert context.trained == [technique.training]
    weight = result.model.get_parameter("fc1.weight").detach()
    assert torch.equal(weight != 0, before > 0)
    assert not torch.equal(weight[before > 0], before[before > 0])
