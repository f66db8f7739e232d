"""What a page in HTML draws by itself."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from compressbench.core.record import RunRecord
from compressbench.core.sweep import Outcome, SweepRecord
from compressbench.reporting.chart import BEFORE, POINT, PUBLISHED, charts
from compressbench.reporting.parallel import _heights, parallel
from compressbench.reporting.table import sweep_report
from tests.reporting.made import made_record

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
GRID = [(technique, ratio, seed) for technique in ("pruning/l1_norm", "<b>") for ratio in (0.1, 0.5) for seed in (0, 1)]


def swept() -> list[RunRecord]:
    """Return two techniques at two ratios with two seeds."""
    found = []
    for technique, ratio, seed in GRID:
        values = {"stages.prune.technique": technique, "stages.prune.ratio": str(ratio), "seed": str(seed)}
        record = made_record(seed, after=0.98 - ratio / 10 + seed / 100, counts={"size_bytes": 1e7 * (1 - ratio)})
        found.append(replace(record, sweeps={"s1": values}))
    return found


def page() -> str:
    records = swept()
    outcomes = [Outcome(n, record.swept, run=f"table5/row/{n}") for n, record in enumerate(records, start=1)]
    return str(sweep_report(SweepRecord("s1", [], outcomes), records, "html"))


def test_seeds_are_one_point_with_all_its_figures_in_the_units_of_the_axes() -> None:
    [chart] = charts(swept())
    points = [point for point in chart.points if point.kind == POINT]
    assert len(points) == 4
    first = next(point for point in points if point.label == "technique=pruning/l1_norm, 0.1")
    assert first.values["top1"] == pytest.approx(97.5)
    assert first.spreads["top1"] == pytest.approx(0.7071, abs=1e-3)
    assert first.values["size_bytes"] == pytest.approx(9000)
    assert (first.short, first.seeds, first.settings["stages.prune.ratio"]) == ("0.1", 2, 0.1)
    assert len([point for point in chart.points if point.kind == BEFORE]) == 4


def test_every_cost_and_every_swept_number_may_stand_across_the_file_first() -> None:
    [chart] = charts(swept())
    assert chart.x[0] == "size_bytes"
    assert {"params", "macs", "stages.prune.ratio"} < set(chart.x)
    assert chart.y == ["top1", "top5"]
    assert chart.captions["stages.prune.ratio"] == "ratio"
    assert chart.parallel == ["stages.prune.technique", "stages.prune.ratio", "size_bytes"]
    assert chart.joined == chart.groups == ["technique=pruning/l1_norm", "technique=<b>"]


def test_rows_of_a_table_have_the_colour_of_their_family_and_what_was_published() -> None:
    [chart] = charts([made_record(row=row) for row in ("a", "b")])
    assert (chart.groups, chart.joined, chart.parallel) == (["pruning"], [], [])
    published = [point for point in chart.points if point.kind == PUBLISHED]
    assert [point.values["top1"] for point in published] == pytest.approx([98.53, 98.53])
    assert published[0].values["params"] == pytest.approx(1.03)


def test_nothing_measured_is_no_chart() -> None:
    assert charts([]) == []
    assert charts([replace(made_record(), status="failed")]) == []


def test_the_page_needs_nothing_else_and_shows_what_others_wrote_as_text() -> None:
    text = page()
    assert "http" not in text
    assert "<b>" not in re.sub(r"(?s)<script>.*</script>", "", text)
    assert len(text) < 100_000


def test_a_sweep_over_several_keys_is_a_picture_of_parallel_axes(tmp_path: Path) -> None:
    file = tmp_path / "parallel.png"
    assert parallel(swept(), file) == file
    assert file.read_bytes().startswith(b"\x89PNG")
    one = [replace(record, sweeps={"s1": {"stages.prune.ratio": str(n)}}) for n, record in enumerate(swept())]
    assert parallel(one, tmp_path / "none.png") is None
    assert _heights([1.0, 3.0, 2.0]) == [0.0, 1.0, 0.5]
    assert _heights(["b", "a", "b"]) == [0.0, 1.0, 0.0]
    assert _heights([2.0, 2.0]) == [0.5, 0.5]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_browser_draws_it_sorts_it_and_says_what_the_mouse_is_over(tmp_path: Path) -> None:
    acts = """<script>
    const heading = [...document.querySelectorAll('th')].find(each => each.textContent === 'top1 %');
    heading.click(); heading.click();
    document.querySelector('select').value = 'stages.prune.ratio';
    document.querySelector('select').onchange();
    const mark = document.querySelector('.picture [data-at="7"]');
    mark.dispatchEvent(new MouseEvent('mousemove', {bubbles: true, clientX: 5, clientY: 5}));
    </script></body>"""
    file = tmp_path / "page.html"
    file.write_text(page().replace("</body>", acts))
    command = [str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'own'}"]
    command += ["--dump-dom", file.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    dom = re.sub(r"(?s)<script.*?</script>", "", done.stdout)
    assert dom.count("<circle") == dom.count('class="line"') == 4
    scores = re.findall(r"<td[^>]*>([\d.]+) ± [\d.]+</td><td[^>]*>[-+]", dom)
    assert scores == sorted(scores, key=float, reverse=True)
    assert re.findall(r"<tr [^>]*><td>([^<]*)", dom)[0] == "before"
    assert re.search(r'class="tip" style="display: block;[^>]*><b>technique=', dom)
    assert "NaN" not in dom
