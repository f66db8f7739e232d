"""Data as users bring it, for tests: a map-style dataset in a `plugins.py`, and a recipe that names it."""

from __future__ import annotations

from pathlib import Path

SINES = '''
import torch
from torch.utils.data import Dataset


class Sines(Dataset):
    """Waves of one of two frequencies. first: the label of the first example, whatever it is."""

    def __init__(self, examples: int, seed: int = 0, first: int | None = None, noise: float = 0.0):
        generator = torch.Generator().manual_seed(seed)
        self.labels = torch.randint(2, (examples,), generator=generator).tolist()
        self.phases = torch.rand(examples, generator=generator).tolist()
        self.noise = noise
        if first is not None:
            self.labels[0] = first

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, number):
        wave = torch.sin(torch.arange(8) * (0.5 + self.labels[number]) + self.phases[number])
        return (wave + self.noise * torch.randn(8))[:, None], self.labels[number]
'''
ROW = """\
model: {name: lstm_classifier, width: 8}
dataset:
  name: map_style
  train: {_target_: plugins.Sines, examples: 400}
  test: {_target_: plugins.Sines, examples: 100, seed: 1}
  task:
    _target_: compressbench.data.tasks.sequence_classification.SequenceClassification
    length: 8
    features: 1
    classes: 2
stages:
  train:
    technique: training/from_scratch
    training: {epochs: 4, batch_size: 32, lr: 0.02, optimizer: adam, schedule: constant, weight_decay: 0}
"""


def write_own_data() -> None:
    """Write the plugin into the working folder."""
    Path("plugins.py").write_text(SINES)
