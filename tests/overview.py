"""The README's table of the families of techniques. `python -m tests.overview` writes it anew."""

from __future__ import annotations

import re
from pathlib import Path

from compressbench.app.listing import as_markdown

README = Path(__file__).parents[1] / "README.md"
MARKS = re.compile(r"(<!-- families: [^>]*-->\n).*?(<!-- end of families -->)", re.DOTALL)


def with_overview(text: str) -> str:
    """Return the README's text with the table that the techniques make now."""
    made, found = MARKS.subn(lambda marks: f"{marks[1]}\n{as_markdown('families')}\n\n{marks[2]}", text)
    assert found == 1, "the README has lost the comments around its table of families"
    return made


if __name__ == "__main__":
    README.write_text(with_overview(README.read_text()))
