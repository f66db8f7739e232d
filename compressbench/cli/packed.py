"""The verbs about a packed file: their arguments. Heavy imports stand inside each verb."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from compressbench.cli.parser import FORMATS, console, put, verb_parser

if TYPE_CHECKING:
    from argparse import ArgumentParser


def inspect(words: list[str]) -> int:
    """`compressbench inspect FILE`"""
    parser = verb_parser("inspect", "Show what a packed file spends its bytes on, tensor by tensor, and what it notes.")
    parser.epilog = "example: compressbench inspect model.cbp --format markdown"
    parser.add_argument("file", help="a packed file (.cbp)")
    parser.add_argument("--format", choices=FORMATS, default=FORMATS[0])
    given = parser.parse_args(words)
    from compressbench.app import inspect as use_case

    put(use_case.inspect(Path(given.file), given.format))
    return 0


def evaluate(words: list[str]) -> int:
    """`compressbench evaluate FILE`"""
    parser = verb_parser("evaluate", "Measure a packed file again and print the figures beside those it notes.")
    parser.epilog = "example: compressbench evaluate model.cbp dataset=mnist dataset.root=/data metrics=[accuracy]"
    parser.add_argument("file", help="a packed file (.cbp)")
    parser.add_argument("overrides", nargs="*", help="dataset=NAME dataset.KEY=VALUE device= metrics= threads=")
    _add_plugin(parser)
    given = parser.parse_intermixed_args(words)
    from compressbench.app import evaluate as use_case

    found = use_case.evaluate_file(Path(given.file), given.overrides, given.plugin)
    printer = console()
    printer.print(f"{Path(given.file).name} on {found.on}", style="bold", highlight=False)
    printer.print(found.table())
    if not found.noted:
        printer.print("the file notes no figures")
    elif not found.as_noted:
        printer.print("its accuracies were measured on other data, or data that was prepared in another way")
    elif found.disagree:
        printer.print(f"not as the file notes: {', '.join(found.disagree)}")
    else:
        printer.print("all is as the file notes")
    return 1 if found.disagree else 0


def export(words: list[str]) -> int:
    """`compressbench export FILE`"""
    parser = verb_parser("export", "Write the network of a packed file as an ONNX model.")
    parser.epilog = "example: compressbench export model.cbp --output model.onnx"
    parser.add_argument("file", help="a packed file (.cbp)")
    parser.add_argument("--output", required=True, metavar="MODEL.onnx")
    parser.add_argument(
        "overrides", nargs="*", help="dataset=NAME, whose inputs it is for; as the file notes if left out"
    )
    _add_plugin(parser)
    given = parser.parse_intermixed_args(words)
    from compressbench.app import export as use_case
    from compressbench.core.task import shapes

    length, example = use_case.export(Path(given.file), Path(given.output), given.overrides, given.plugin)
    print(f"{given.output}: {length:,} bytes, takes inputs of {shapes(example)} in batches of any size")
    return 0


def _add_plugin(parser: ArgumentParser) -> None:
    what = "a plugin that the file may name code of, by its name or its path: it is imported, so name what you trust"
    parser.add_argument("--plugin", action="append", default=[], metavar="NAME", help=what)
