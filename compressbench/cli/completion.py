"""Tab completion: the line that turns it on, and what bash then calls."""

from __future__ import annotations

import os

from compressbench.cli.parser import verb_parser
from compressbench.core.errors import PlanError


def completion(words: list[str]) -> int:
    """`compressbench completion`"""
    parser = verb_parser("completion", "Print the line that turns on tab completion in bash, for this shell.")
    parser.epilog = 'example: eval "$(compressbench completion)"   in ~/.bashrc for every shell'
    parser.parse_args(words)
    print("complete -o nospace -o default -C 'compressbench complete' compressbench")
    return 0


def complete(words: list[str], verbs: list[str]) -> int:
    """Called by bash with the line in COMP_LINE; prints one candidate a line. words: the command, what is completed."""
    from compressbench.app.listing import offer

    line = os.environ.get("COMP_LINE", "")[: int(os.environ.get("COMP_POINT", "100000"))]
    try:
        print("\n".join(offer(line, "".join(words[1:2]), verbs)))
    except PlanError:  # a plugin that is not there, say: the verb itself tells; here a message would stand in the line
        return 2
    return 0
