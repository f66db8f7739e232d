"""Networks around an LSTM (Hochreiter and Schmidhuber 1997; with forget gates, Gers et al. 2000)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LSTM(nn.Module):
    """One layer: reads vectors (n, length, features), gives its state at every place, (n, length, width).

    As torch's LSTM, with one bias instead of two, but made of two linear layers, one for what is read and one for the
    state before, so that whatever prunes, shares or rounds linear layers works on it. Slower than torch's for that: it
    takes step after step in Python. Linear layers' default initialisation.
    """

    def __init__(self, features: int, width: int):
        super().__init__()
        self.width = width
        self.read = nn.Linear(features, 4 * width)
        self.recur = nn.Linear(width, 4 * width, bias=False)

    def forward(self, vectors: Tensor) -> Tensor:
        state = cell = vectors.new_zeros(len(vectors), self.width)
        states = []
        for read in self.read(vectors).unbind(1):
            add, forget, write, give = (read + self.recur(state)).chunk(4, 1)
            cell = forget.sigmoid() * cell + add.sigmoid() * write.tanh()
            state = give.sigmoid() * cell.tanh()
            states.append(state)
        return torch.stack(states, 1)


class LSTMClassifier(nn.Module):
    """Reads a sequence of vectors and classifies it by the last state. width: of each layer's state."""

    def __init__(self, features: int, classes: int, width: int = 64, layers: int = 1):
        super().__init__()
        self.lstm = nn.Sequential(*(LSTM(width if layer else features, width) for layer in range(layers)))
        self.head = nn.Linear(width, classes)

    def forward(self, rows: Tensor) -> Tensor:
        """Return logits (n, classes) of sequences (n, length, features)."""
        logits: Tensor = self.head(self.lstm(rows)[:, -1])
        return logits


class LSTMLanguageModel(nn.Module):
    """Reads a text and says at every place what comes next. width: of the embedding and of each layer's state."""

    def __init__(self, vocabulary: int, width: int = 64, layers: int = 1):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.lstm = nn.Sequential(*(LSTM(width, width) for _ in range(layers)))
        self.head = nn.Linear(width, vocabulary)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits (n, length, vocabulary) of the token after each of tokens (n, length)."""
        logits: Tensor = self.head(self.lstm(self.tokens(tokens)))
        return logits
