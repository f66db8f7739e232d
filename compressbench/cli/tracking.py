"""`compressbench ui` and `compressbench sync`: MLflow's pages, and what it does not have yet."""

from __future__ import annotations

from compressbench.cli.parser import verb_parser


def ui(words: list[str]) -> int:
    """`compressbench ui`"""
    parser = verb_parser("ui", "Start the MLflow UI on the store in use and print its address. Ctrl-C stops it.")
    parser.epilog = "example: compressbench ui --port 5001"
    parser.add_argument("--port", type=int, default=5000)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    parser.add_argument("overrides", nargs="*", help="outputs=FOLDER tracking.uri=URI")
    given = parser.parse_args(words)
    from compressbench.app.track import serve_pages

    return serve_pages(given.overrides, given.host, given.port, not given.no_browser)


def sync(words: list[str]) -> int:
    """`compressbench sync`"""
    parser = verb_parser("sync", "Send to MLflow what could not be sent when it ended: where it was meant to go.")
    parser.epilog = "example: compressbench sync tracking.uri=http://127.0.0.1:5000"
    parser.add_argument("overrides", nargs="*", help="outputs=FOLDER tracking.uri=URI")
    overrides = parser.parse_args(words).overrides
    from compressbench.app.track import send_missing

    done, named = send_missing(overrides)
    for where, sent, missing in done:
        print(f"{sent} {'run' if sent == 1 else 'runs'} sent to {where}, {missing} still missing")
    if not done:
        print(f"nothing is missing{f' at {named}' if named else ''}")
    return 1 if any(each.missing for each in done) else 0
