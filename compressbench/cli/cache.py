"""`compressbench cache`: what takes room in the caches, what of it can go, and whether it is whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compressbench.cli.parser import console, verb_parser
from compressbench.core.paths import outputs_folder

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from compressbench.app.cache import Entry

EPILOG = """\
`list` says of each stage what it is, how many records name it and whether a run relies on it now. NAME: a recipe, a
glob of recipes, or the beginning of a stage's identity. --unused and --older-than choose what `prune` would.

`prune` always removes what killed processes left and checkpoints of finished stages. --unused: also stages that no
record below the outputs names. --older-than: also what was written so many days ago, named or not (with --unused,
only that of it). What goes is computed again when it is needed; records and packed files of runs stay, and so does
what a running command relies on.

`verify` reads every stage, note and decoded image again: digests, identity, whether the network decodes and keeps what
was promised of it. It ends with 1 if something is damaged, removed or not; what is removed is computed again.

  compressbench cache list 'table5/*' --sort age
  compressbench cache size
  compressbench cache prune --unused --older-than 30 --dry-run
  compressbench cache verify --remove
"""
SORTS: dict[str, Callable[[Entry], Any]] = {
    "size": lambda entry: -entry.size_bytes,
    "age": lambda entry: -entry.age_days,
    "recipe": lambda entry: entry.made_for or ("~", "", ""),
    "records": lambda entry: -len(entry.named),
}
FLAGS = {
    "list": {"names", "sort", "older_than", "unused"},
    "size": set[str](),
    "prune": {"older_than", "unused", "dry_run"},
    "verify": {"names", "remove"},
}
"""What goes with what."""


def cache(words: list[str]) -> int:
    """`compressbench cache list|size|prune|verify`"""
    parser = _parser()
    given = parser.parse_intermixed_args(words)
    for name, value in vars(given).items():
        if value not in (None, False, []) and name not in {"what", "outputs"} | FLAGS[given.what]:
            verbs = " and ".join(verb for verb, flags in FLAGS.items() if name in flags)
            word = "NAME" if name == "names" else f"--{name.replace('_', '-')}"
            parser.error(f"{word} goes with {verbs}, not with {given.what}")
    if given.what == "verify":
        return _verify(given)
    from compressbench.app.cache import entries, prune, stages_listed

    outputs = outputs_folder(given.outputs)
    if given.what == "list":
        _list(stages_listed(outputs, given.names, given.older_than, given.unused), given.sort or "size")
    elif given.what == "size":
        _show(entries(outputs), outputs, "takes")
    elif gone := prune(outputs, given.older_than, given.unused, given.dry_run):
        _show(gone, outputs, "would free" if given.dry_run else "freed")
    else:
        print("nothing to remove")
    return 0


def _parser() -> ArgumentParser:
    from argparse import RawDescriptionHelpFormatter

    parser = verb_parser("cache", "Say what lies in outputs/cache and in the machine's cache, and remove of it.")
    parser.epilog, parser.formatter_class = EPILOG, RawDescriptionHelpFormatter
    parser.add_argument("what", choices=list(FLAGS), nargs="?", default="size")
    parser.add_argument("names", metavar="NAME", nargs="*", help="only stages of these recipes (list, verify)")
    parser.add_argument("--outputs", default=None, help="folder of the runs (default: outputs)")
    parser.add_argument("--sort", choices=list(SORTS), help="by what the list is sorted (default: size)")
    parser.add_argument("--older-than", metavar="DAYS", type=_days, help="what was written longer ago (list, prune)")
    parser.add_argument("--unused", action="store_true", help="stages that no record names (list, prune)")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed (prune)")
    parser.add_argument("--remove", action="store_true", help="remove what is damaged (verify)")
    return parser


def _days(text: str) -> float:
    from argparse import ArgumentTypeError

    try:
        days = float(text)
    except ValueError:
        days = -1.0
    if not 0 <= days < float("inf"):
        raise ArgumentTypeError(f"is {text!r}; allowed: days, 0 or more")
    return days


def _list(found: Sequence[Entry], sort: str) -> None:
    """Print a line a stage, and the sum."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    for name in ("recipe", "stage", "seed", "identity"):
        table.add_column(name, overflow="fold")
    for name in ("bytes", "days", "records"):
        table.add_column(name, justify="right")
    table.add_column("")
    for entry in sorted(found, key=SORTS[sort]):
        recipe, stage, seed = entry.made_for or ("?", "?", "?")
        others = len({naming.recipe for naming in entry.named} - {recipe})
        recipe += f" and {others} more" if others else ""
        state = "in use now" if entry.now else "unfinished" if entry.kind != "stages" else ""
        figures = (f"{entry.size_bytes:,}", f"{entry.age_days:.1f}", str(len(entry.named)))
        table.add_row(recipe, stage, seed, entry.path.name, *figures, state or ("" if entry.used else "unused"))
    if found:
        console().print(table)
    print(f"{len(found):,} stages, {sum(entry.size_bytes for entry in found):,} bytes")


def _verify(given: Namespace) -> int:
    from rich.console import Console

    from compressbench.app.cache import verify

    outputs = outputs_folder(given.outputs)
    checked = verify(outputs, given.names, given.remove, Console(stderr=True))
    for one in checked:
        what = f"{one.entry.path} ({one.entry.made_for})" if one.entry.made_for else str(one.entry.path)
        if one.damage:
            left = ": a running command relies on it" if one.entry.now else ""
            done = "; removed" if one.removed else f"; not removed{left}" if given.remove else ""
            print(f"damaged: {what}: {one.damage}{done}")
        elif one.undecoded:
            print(f"not decoded: {what}: {one.undecoded}")
    damaged = [one for one in checked if one.damage]
    way_out = "; --remove removes what is damaged" if damaged and not given.remove else ""
    print(f"{len(checked):,} entries read in {outputs} and the machine's cache, {len(damaged):,} damaged{way_out}")
    return 1 if damaged else 0


def _show(found: Sequence[Entry], outputs: Path, heading: str) -> None:
    """Print a line a kind, and the sum."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("kind")
    for name in ("number", heading, "no record names", "oldest"):
        table.add_column(name, justify="right")
    kinds = dict.fromkeys(entry.kind for entry in found)
    for name, chosen in [*((kind, [e for e in found if e.kind == kind]) for kind in kinds), ("all", list(found))]:
        unused = [entry for entry in chosen if entry.kind.endswith("stages") and not entry.used]
        age = max((entry.age_days for entry in chosen), default=0.0)
        sizes = [f"{sum(entry.size_bytes for entry in part):,} bytes" if part else "" for part in (chosen, unused)]
        table.add_row(name, f"{len(chosen):,}", *sizes, f"{age:.1f} days" if chosen else "")
    console().print(table)
    print(f"in {outputs} and the machine's cache")
