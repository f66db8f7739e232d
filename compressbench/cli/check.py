"""`compressbench check`: what a recipe, or every point of a sweep, will do, and all that is wrong with it."""

from __future__ import annotations

from compressbench.cli.parser import put, verb_parser
from compressbench.core.errors import PlanError


def check(words: list[str]) -> int:
    """`compressbench check [-m] recipe=R`"""
    what = "Compose, type and check a recipe, or every point of a sweep, and print what it will do, without training."
    parser = verb_parser("check", what)
    parser.epilog = (
        "examples: compressbench check recipe=table5/cifar10_l1norm_30 stages.prune.ratio=0.4; "
        "compressbench check -m recipe=quickstart stages.prune.ratio=0.1,0.3,0.5"
    )
    parser.add_argument("overrides", nargs="*", help="recipe=NAME or recipe=FILE.yaml, and Hydra overrides")
    parser.add_argument("-m", "--multirun", action="store_true", help="a sweep: a line a point, and all faults")
    parser.add_argument("-cd", "--config-dir", metavar="FOLDER", help="further config groups, recipes below recipes/")
    given = parser.parse_intermixed_args(words)
    from compressbench.app import check as use_case

    found = (use_case.check_sweep if given.multirun else use_case.check)(given.overrides, given.config_dir)
    table = found.table()
    if table is not None:
        put(table)
    if found.faults:
        raise PlanError(found.faults)
    return 0
