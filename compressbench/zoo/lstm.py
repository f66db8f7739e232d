"""Networks around an LSTM (Hochreiter and Schmidhuber 1997; with forget gates, Gers et al. 2000). torch's defaults."""

from __future__ import annotations

from torch import Tensor, nn


class LSTMClassifier(nn.Module):
    """Reads a sequence of vectors and classifies it by the last state. width: of each layer's state."""

    def __init__(self, features: int, classes: int, width: int = 64, layers: int = 1):
        super().__init__()
        self.lstm = nn.LSTM(features, width, layers, batch_first=True)
        self.head = nn.Linear(width, classes)

    def forward(self, rows: Tensor) -> Tensor:
        """Return logits (n, classes) of sequences (n, length, features)."""
        states, _ = self.lstm(rows)
        logits: Tensor = self.head(states[:, -1])
        return logits


class LSTMLanguageModel(nn.Module):
    """Reads a text and says at every place what comes next. width: of the embedding and of each layer's state."""

    def __init__(self, vocabulary: int, width: int = 64, layers: int = 1):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.lstm = nn.LSTM(width, width, layers, batch_first=True)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits (n, length, vocabulary) of the token after each of tokens (n, length)."""
        states, _ = self.lstm(self.tokens(tokens))
        logits: Tensor = self.head(states)
        return logits
