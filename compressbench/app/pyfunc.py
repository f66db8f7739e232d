"""A packed file as MLflow loads a model: `mlflow.pyfunc.load_model("runs:/ID/model")`. Needs no MLflow itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy

EXAMPLES_AT_ONCE = 256
"""What predicts a whole data set should not hold all that is between its layers."""


class Predictor:
    """The network of a packed file as a function of arrays. `network`: as `compressbench.load` returns it."""

    def __init__(self, path: str | Path, plugins: list[str]):
        from compressbench.app.api import load

        self.network: Any = load(path, plugins)

    def predict(self, data: Any) -> numpy.ndarray[Any, Any]:
        """Return what the network gives, an example a row: of a classifier its logits, in the order of its classes.

        data: an array of examples as the network takes them; uint8 pictures (N, H, W) or (N, H, W, C), prepared as
        those it was measured on; a DataFrame, a row an example, of a picture all its pixels (channel, line, column); or
        a mapping from names to arrays, for a network of several inputs, in its order. ValueError if it cannot take it.
        """
        import torch

        from compressbench.core.task import feed, tensors

        inputs = self._inputs(data)
        parts = [torch.split(each, EXAMPLES_AT_ONCE) for each in tensors(inputs)]
        batches = zip(*parts, strict=True) if isinstance(inputs, tuple) else iter(parts[0])
        try:
            with torch.inference_mode():
                found = torch.cat([feed(self.network, batch).float() for batch in batches])
        except (RuntimeError, IndexError, TypeError) as error:
            shapes = ", ".join(str(tuple(each.shape)) for each in tensors(inputs))
            expected = self.network.preprocess.how
            wanted = f"; it takes {expected}" if expected else ""
            raise ValueError(f"the network cannot take arrays of shape {shapes}{wanted} ({error})") from error
        return found.numpy()

    def _inputs(self, data: Any) -> Any:
        import numpy

        how = self.network.preprocess.how
        if hasattr(data, "to_numpy"):  # a DataFrame, or a column of one
            rows = data.to_numpy()
            pixels = None if how is None else (how.channels, *how.size)
            return _tensor(rows if pixels is None else rows.reshape(len(rows), *pixels))
        if isinstance(data, Mapping):
            found = tuple(_tensor(each) for each in data.values())
            return found if len(found) > 1 else found[0]
        array = numpy.asarray(data)
        if array.dtype == numpy.uint8 and how is not None:
            return self.network.preprocess(list(array))
        return _tensor(array)


def _tensor(values: Any) -> Any:
    """Return numbers as networks take them: whole ones as int64 (tokens, say), all others as float32."""
    import numpy
    import torch

    array = numpy.asarray(values)
    whole = numpy.issubdtype(array.dtype, numpy.integer)
    return torch.from_numpy(numpy.ascontiguousarray(array, dtype=numpy.int64 if whole else numpy.float32))


def _load_pyfunc(path: str, model_config: Mapping[str, Any] | None = None) -> Predictor:
    """What MLflow calls. model_config: `plugins`, the names of those that the file may use."""
    return Predictor(path, list((model_config or {}).get("plugins", [])))
