"""The pages of docs/ are true: what they say is run, and prints what they say."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.pages import live

PAGES = sorted((Path(__file__).parents[1] / "docs").glob("*.md"))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_does_what_it_says(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    known = set(sys.modules)
    try:
        live(page)
    finally:
        for name in set(sys.modules) - known:
            if str(getattr(sys.modules[name], "__file__", None)).startswith(str(tmp_path)):
                del sys.modules[name]  # the page's own files


def lived(text: str) -> int:
    Path("page.md").write_text(text)
    return live(Path("page.md"))


def test_blocks_of_python_share_their_names_and_what_follows_is_what_they_print() -> None:
    page = "# Page\n\n```python\nx = 1\n```\nThen\n\n```python\nprint(x, 'and more')\n```\n\n```text\n1 ...\n```\n"
    assert lived(page) == 2
    with pytest.raises(AssertionError, match=r"page\.md, line 12: expected"):
        lived(page.replace("1 ...", "2 ..."))
    with pytest.raises(AssertionError, match="NameError: name 'y'"):
        lived(page.replace("print(x", "print(y"))


def test_commands_are_run_and_print_what_they_say() -> None:
    page = "```console\n$ echo one two\none   two\n$ compressbench --version\ncompressbench 0...\n```\n"
    assert lived(page) == 2
    with pytest.raises(AssertionError, match=r"compressbench --version: expected"):
        lived(page.replace("compressbench 0...", "something else"))
    with pytest.raises(AssertionError, match="nosuch"):
        lived("```console\n$ nosuch-command\n```\n")


def test_a_block_that_names_a_file_is_written_to_it() -> None:
    code, recipe = "# own/it.py\nraise AssertionError\n", "# my.yaml: Mine.\na: 1\n"
    assert lived(f"```python\n{code}```\n\n```yaml\n{recipe}```\n\n```yaml\nb: 2\n```\n") == 0
    assert (Path("own/it.py").read_text(), Path("my.yaml").read_text()) == (code, recipe)
