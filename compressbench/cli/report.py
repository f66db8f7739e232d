"""`compressbench report`: all tables, one of them, or the answer of a sweep."""

from __future__ import annotations

import sys
from pathlib import Path

from compressbench.cli.parser import FORMATS, put, verb_parser
from compressbench.core.errors import PlanError
from compressbench.core.paths import outputs_folder


def write_html(page: object, file: Path) -> None:
    """Write a page, and say on stderr where. PlanError if it cannot be written."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(str(page), encoding="utf-8")
    except OSError as error:
        raise PlanError.of("--html", f"cannot write {file}: {error.strerror}") from error
    print(f"page: {file}", file=sys.stderr)


def report(words: list[str]) -> int:
    """`compressbench report [NAME]`: the report, and nothing else, on stdout."""
    parser = verb_parser("report", "Set what was measured beside the published figures.")
    parser.epilog = "examples: compressbench report; compressbench report table5 --format markdown > RESULTS.md"
    which = (
        "a folder of recipes (table5, ...), one recipe (quickstart), or the id of a sweep; a line a table if left out"
    )
    parser.add_argument("table", nargs="?", help=which)
    parser.add_argument("--format", choices=FORMATS, default=FORMATS[0])
    parser.add_argument("--outputs", default=None, help="folder of the runs (default: outputs)")
    parser.add_argument("--sort", metavar="KEY", default="", help="of a sweep: a metric (top1) or what was swept")
    parser.add_argument("--html", metavar="FILE", help="also write one page: tables that sort, plots to look into")
    parser.add_argument("--plot", metavar="FILE", help="also draw accuracy against MACs into a PNG file")
    parser.add_argument("--commit", metavar="FOLDER", help="also write the records, made small, into a folder")
    given = parser.parse_args(words)
    from compressbench.app import report as use_case

    outputs = outputs_folder(given.outputs)
    if given.table is None:
        unfit = [f"--{name}" for name in ("plot", "commit", "sort") if getattr(given, name)]
        if unfit:
            raise PlanError.of(unfit[0], "goes with one table; name it: compressbench report TABLE")
        put(use_case.summary(outputs, given.format))
        if given.html:
            write_html(use_case.summary(outputs, "html"), Path(given.html))
        return 0
    found = use_case.report(given.table, outputs)
    if given.commit and isinstance(found, use_case.SweepReport):
        raise PlanError.of("--commit", "goes with a table, whose rows have names; points of a sweep have none")
    if isinstance(found, use_case.SweepReport):
        found.sort = given.sort
    elif given.sort:
        raise PlanError.of("--sort", "goes with a sweep; rows of a table stand in the order of its recipes")
    put(found.shown(given.format))
    if given.html:
        write_html(found.shown("html"), Path(given.html))
    if given.plot:
        print(f"plot: {use_case.draw(found, Path(given.plot))}", file=sys.stderr)
    if given.commit and isinstance(found, use_case.TableReport):
        print(f"{len(found.commit(Path(given.commit)))} records: {given.commit}", file=sys.stderr)
    return 0
