"""What `import compressbench` offers: the use cases as functions. What does the work is imported when it is called."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compressbench.core.errors import PlanError as PlanError
from compressbench.core.errors import RunError as RunError

if TYPE_CHECKING:
    from pandas import DataFrame
    from torch import Tensor, nn

    from compressbench.app.compress import Compressed
    from compressbench.app.words import Recipe
    from compressbench.core.data import Dataset
    from compressbench.core.plugins import Told
    from compressbench.core.preprocessing import Preprocessing
    from compressbench.core.record import RunRecord
    from compressbench.core.technique import Technique


def run(
    recipe: Recipe,
    overrides: Sequence[str] = (),
    *,
    outputs: str | Path | None = None,
    tracking: str | None = None,
    progress: bool = True,
) -> RunRecord:
    """Carry out a recipe as `compressbench run` does, and return its record.

        >>> record = compressbench.run("quickstart", ["seed=1", "stages.prune.ratio=0.3"])
        >>> record.final.metrics["top1"], record.final.metrics["size_bytes"]
        >>> model = compressbench.load(record.packed_file())

    recipe: its name (`"table5/mnist_l1norm_50"`), the path to its file, or a mapping with what the file would hold,
    which is kept below `outputs/recipes`. overrides: as behind `compressbench run`. outputs: the folder of the runs.
    tracking: `"off"` tells MLflow nothing. progress: whether it is shown, as bars on a terminal (in a notebook with
    ipywidgets too), as lines elsewhere.

    What was computed before is not computed again; a run that was interrupted goes on from its last epoch. Raises
    `PlanError`, with all `faults`, before anything is trained; `RunError` if a stage cannot go on, and if the budget is
    missed: then all is on the disk, and `record` of the error is the record.
    """
    from compressbench.app.run import carry_out, check_budget, prepare_run
    from compressbench.app.words import words_of

    words = [*overrides, *([f"tracking={tracking}"] if tracking else [])]
    with _for_people():
        ran = carry_out(prepare_run(words_of(recipe, words, outputs)), console=_console(progress))
        ran.track()
        check_budget(ran.record)
    return ran.record


def sweep(
    recipe: Recipe,
    values: Mapping[str, Sequence[Any]],
    overrides: Sequence[str] = (),
    *,
    outputs: str | Path | None = None,
    tracking: str | None = None,
    progress: bool = True,
) -> DataFrame:
    """Run every combination of values, as `compressbench run -m` does, and return a pandas DataFrame, a row a run.

        >>> runs = compressbench.sweep("quickstart", {"stages.prune.ratio": [0.1, 0.3, 0.5], "seed": [0, 1]})
        >>> runs.groupby("stages.prune.ratio")[["top1_before", "top1", "size_bytes"]].mean()

    values: by key, what it shall be in turn; the last key varies fastest. The others are as for `run`;
    `["launcher=local", "launcher.processes=2"]` among the overrides runs two at a time.

    Columns: the keys, `status`, every metric of the final network by name, as `<metric>_before` that of the network
    before compression, `missed` (limits of the budget that are broken: a result like any other), `seconds`, `error`
    (why a run failed; the others go on) and `run`, its folder below `outputs/runs`. The same call after an interruption
    goes on. The answer also lies in `outputs/sweeps` (`compressbench report`). Raises `PlanError` for a sweep that
    cannot be composed.
    """
    from compressbench.app.sweep_values import sweep_of_values
    from compressbench.app.words import words_of

    with _for_people():
        words = words_of(recipe, [*overrides, *([f"tracking={tracking}"] if tracking else [])], outputs)
        return sweep_of_values(words, values, progress)


def compress(
    module: nn.Module,
    dataset: str | Mapping[str, Any] | Dataset,
    stages: Sequence[Mapping[str, Any] | Technique] | Mapping[str, Mapping[str, Any] | Technique],
    *,
    budget: Mapping[str, float] | None = None,
    overrides: Sequence[str] = (),
    arguments: Mapping[str, Any] | None = None,
    builder: Callable[..., nn.Module] | None = None,
    outputs: str | Path | None = None,
    tracking: str | None = None,
    progress: bool = True,
) -> Compressed:
    """Compress a network in hand, with the weights it has; return its `record`, the packed file's `path`, and `model`,
    the network decoded from that file.

        >>> from nets import Net  # a file of your own
        >>> net = Net(width=4)  # ... trained
        >>> small = compressbench.compress(
        ...     net,
        ...     "digits",
        ...     stages=[{"technique": "pruning/magnitude", "ratio": 0.8}, {"technique": "coding/huffman"}],
        ...     budget={"accuracy_drop": 0.02},
        ...     arguments={"width": 4},
        ... )
        >>> small.record.to_frame()[["top1", "size_bytes"]]
        >>> small.model(images)

    module: it is left as it is. dataset: a name (`compressbench list datasets`), a mapping as in a recipe, a Dataset.
    stages: as in a recipe, in a list (each may say its `name`) or by name; techniques may be objects. budget: as in a
    recipe. overrides: as behind `compressbench run` (`["seed=1", "training=reduced"]`). The others are as for `run`.

    A file can only say what builds the network: its class, or a function that returns it (`builder`), by the module it
    is imported from, with `arguments`. What the task knows of itself (channels, classes) is added where it is taken. So
    the code must lie in a file (not in the notebook), and `load` must be told of it: `load(path, plugins=[nets])`. What
    is built so must compute what `module` does, or a `PlanError` says what differs. Raises as `run` does.
    """
    from compressbench.app.compress import InHand, compressed
    from compressbench.app.objects import dataset_node, stages_node

    with _for_people():
        parts = {"dataset": dataset_node(dataset), "stages": stages_node(stages), "budget": dict(budget or {})}
        words = [*overrides, *([f"tracking={tracking}"] if tracking else [])]
        return compressed(
            InHand(module, builder or type(module), arguments or {}), parts, words, outputs, _console(progress)
        )


def load(path: str | Path, plugins: Sequence[Told] = ()) -> nn.Module:
    """Return the network of a packed file (`.cbp`), in evaluation mode: bit for bit the weights that were measured.

    Two attributes say how to use it. `preprocess(pictures)` makes what it takes (see `Preprocess`). `classes` is a list
    of what its outputs are called, None if the file does not say.
    plugins: those whose code it may name, where its network is built from any: names of declared ones, modules, or
    paths to a file or a package. Give only what you trust: it is imported.
    No code of the file is run. Raises `compressbench.packing.container.PackedFileError`, a ValueError, for anything
    that is no packed file, or a damaged one, or needs a plugin that is not among `plugins`.
    """
    from compressbench.core.plugins import only
    from compressbench.packing.feeding import classes_of, preprocessing_of
    from compressbench.packing.packed_file import note, read  # imports torch

    with only(plugins):
        subject, noted = read(Path(path)), note(Path(path))
    model: Any = subject.model
    try:
        model.preprocess = Preprocess(preprocessing_of(noted))
    except ValueError as error:  # a network without it is as good for whoever makes the inputs
        model.preprocess = Preprocess(None, str(error))
    model.classes = classes_of(noted, subject.architecture.arguments)
    return subject.model


@dataclass(frozen=True)
class Preprocess:
    """Makes float32 (N, C, H, W) from pictures, as they were made for what the network was measured on.

    how: size, mean, std and all other steps. None, with the reason in `missing`: the file does not say.
    """

    how: Preprocessing | None
    missing: str = ""

    def __call__(self, pictures: Any) -> Tensor:
        """Return pictures of any size as what the network takes, on the CPU.

        pictures: a path, a PIL picture, a uint8 array (H, W), (H, W, C) or (N, H, W, C), a uint8 tensor (C, H, W) or
        (N, C, H, W), or a list of them; C is 1 (grey), 3 (red, green, blue) or 4 (and opacity, which is left out).
        ValueError for anything else (pixels that are no uint8 above all: nothing is guessed), and if the file does not
        say how.
        """
        if self.how is None:
            raise ValueError(self.missing)
        from compressbench.data.preparing import prepared

        return prepared(pictures, self.how)


@contextmanager
def _for_people() -> Iterator[None]:
    """Let an error for people come without those of the libraries that led to it: a notebook would show them all."""
    try:
        yield
    except (PlanError, RunError) as error:
        raise error from None


def _console(progress: bool) -> Any:
    from compressbench.running.progress import notebook_console

    return notebook_console() if progress else None
