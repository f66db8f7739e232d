"""The verbs about a packed file: their arguments. Heavy imports stand inside each verb."""

from __future__ import annotations

from compressbench.cli.parser import FORMATS, verb_parser


def inspect(words: list[str]) -> int:
    """`compressbench inspect FILE`"""
    parser = verb_parser("inspect", "Show what a packed file spends its bytes on, tensor by tensor, and what it notes.")
    parser.epilog = "example: compressbench inspect model.cbp --format markdown"
    parser.add_argument("file", help="a packed file (.cbp)")
    parser.add_argument("--format", choices=FORMATS, default=FORMATS[0])
    given = parser.parse_args(words)
    from compressbench.cli.inspect import print_inspect
    from compressbench.cli.job import console

    return print_inspect(given.file, given.format, console())


def evaluate(words: list[str]) -> int:
    """`compressbench evaluate FILE`"""
    parser = verb_parser("evaluate", "Measure a packed file again and print the figures beside those it notes.")
    parser.epilog = "example: compressbench evaluate model.cbp dataset=mnist dataset.root=/data metrics=[accuracy]"
    parser.add_argument("file", help="a packed file (.cbp)")
    parser.add_argument("overrides", nargs="*", help="dataset=NAME dataset.KEY=VALUE device= metrics= threads=")
    given = parser.parse_args(words)
    from compressbench.cli.evaluate import print_evaluation
    from compressbench.cli.job import console

    return print_evaluation(given.file, given.overrides, console())


def export(words: list[str]) -> int:
    """`compressbench export FILE`"""
    parser = verb_parser("export", "Write the network of a packed file as an ONNX model.")
    parser.epilog = "example: compressbench export model.cbp --output model.onnx"
    parser.add_argument("file", help="a packed file (.cbp)")
    parser.add_argument("--output", required=True, metavar="MODEL.onnx")
    parser.add_argument(
        "overrides", nargs="*", help="dataset=NAME, whose images it is for; as the file notes if left out"
    )
    given = parser.parse_args(words)
    from compressbench.cli.export import export_file

    return export_file(given.file, given.output, given.overrides)
