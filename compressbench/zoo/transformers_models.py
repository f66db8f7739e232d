"""Networks of HuggingFace's transformers by their model type, with random weights. Needs the extra `transformers`."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from compressbench.core.installation import missing
from compressbench.vision import mend

KEYS = {
    "classes": "num_labels",
    "vocabulary": "vocab_size",
    "in_channels": "num_channels",
    "image_size": "image_size",
    "places": "max_position_embeddings",
}
"""What the task says of itself, and what a configuration there calls it."""


class Logits(nn.Module):
    """A network of transformers that gives its logits alone, as every task here wants them."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return the logits. inputs: pixels, or tokens and what may come behind them (the attention mask)."""
        logits: Tensor = self.network(*inputs).logits
        return logits


def transformers_model(
    name: str,
    classes: int | None = None,
    vocabulary: int | None = None,
    in_channels: int | None = None,
    image_size: int | None = None,
    context: int | None = None,
    length: int | None = None,
    options: dict[str, Any] | None = None,
) -> nn.Module:
    """Return the network of a model type (`bert`, `gpt2`, `vit`), freshly initialised: nothing is downloaded.

    Its head goes by the task: classes of images, classes of sequences of tokens, or the next token.
    options: entries of its configuration (`hidden_size`, `num_hidden_layers`), which win over what the task says.
    ValueError if transformers is not installed, and for what it refuses.
    """
    mend()  # torchvision, which transformers imports, and this machine may have to mend first
    try:
        import transformers
    except ImportError as error:
        raise ValueError(missing(["transformers"], "transformers")) from error
    said = dict(zip(KEYS.values(), (classes, vocabulary, in_channels, image_size, context or length), strict=True))
    if in_channels is not None and vocabulary is None:
        head: Any = transformers.AutoModelForImageClassification
    elif vocabulary is not None:
        head = transformers.AutoModelForCausalLM if classes is None else transformers.AutoModelForSequenceClassification
    else:
        raise ValueError(f"{name} takes images or tokens, and the task has neither")
    try:
        plain = transformers.AutoConfig.for_model(name)
        _check_options(name, plain, options or {})
        told: dict[str, Any] = {key: value for key, value in said.items() if value is not None and hasattr(plain, key)}
        if vocabulary is not None:
            told |= dict.fromkeys(("bos_token_id", "eos_token_id"))  # of the published vocabulary
        config = transformers.AutoConfig.for_model(name, **{**told, "use_cache": False, **(options or {})})
        return Logits(head.from_config(config))
    except (ImportError, KeyError, RuntimeError, TypeError, AttributeError, ValueError) as error:
        lines = str(error).splitlines()
        raise ValueError(f"{name} of transformers cannot be built: {lines[0] if lines else error!r}") from error


def _check_options(name: str, config: Any, options: dict[str, Any]) -> None:
    for key in options:
        if not hasattr(config, key):
            raise ValueError(f"the configuration of {name} has no {key!r}")
