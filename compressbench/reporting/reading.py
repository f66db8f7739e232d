"""Reading: what the verdicts and the columns of a report mean, in words."""

from __future__ import annotations

from compressbench.core.metric import MetricSpec
from compressbench.core.specs import scores
from compressbench.reporting.comparison import Comparison
from compressbench.reporting.small_tables import titles

OF_TABLES = {
    "Latency": "ms a batch: the median time of a batch on one thread of the processor. times as fast as dense: the "
    "time of the network before compression in the same runtime over it, the median of rounds in which both take "
    "turns; quartiles apart: from the lower to the upper quartile of these ratios.",
}
"""What stands in the small tables that our metrics have, by title."""


def reading(comparisons: list[Comparison]) -> list[str]:
    """Return the rules of the verdicts, and how figures are counted."""
    if not comparisons:
        return []
    score, specs = comparisons[0].score, comparisons[0].specs
    return list(_rules(score, [s.heading for s in scores(specs) if s.heading and s.name != score.name]))


def of_tables(comparisons: list[Comparison]) -> list[str]:
    """Return what the small tables show."""
    there = {title for comparison in comparisons for title in titles(comparison.specs.values(), comparison.after)}
    return [text for title, text in OF_TABLES.items() if title in there]


def _rules(score: MetricSpec, shown: list[str]) -> tuple[str, ...]:
    name, margin = score.heading, "0.05 points" if score.unit == "fraction" else "half a unit of its last digit"
    least = "at least the print minus" if score.higher_is_better else "at most the print plus"
    judged = f"; {', '.join(shown)} {'is' if len(shown) == 1 else 'are'} shown, not judged." if shown else "."
    return (
        "reproduced: counts, rounded to the print's digits, equal the print (a misprint's correction, where a note "
        f"gives one); mean {name} is {least} {margin}, on another dataset than the paper's the change "
        f"in {name} is. above: a figure is better than the print by more than its tolerance, {name} also by more than "
        f"{margin}; that reproduces nothing and counts against nothing. within tolerance: the row's tolerance is kept. "
        "differs: it is not. A row's verdict is the worst of its figures, where above comes before reproduced" + judged,
        f"Of a sparse network's non-zero parameters, and of bytes, fewer are better, as long as {name} does not "
        "differ: within the tolerance they reproduce the print, beyond it they are above. Every other count has no "
        "good side: fewer are as far off as more. Behind a semicolon: what is above the print though something else is "
        f"not; and, of a row judged by the level of {name}, the verdict on its change by the same tolerance, where "
        "that is another one.",
        f"± is the sample standard deviation over seeds; change is {name} after minus before, of each seed and then "
        "averaged. survey FLOPs follow the survey's own convention (three times the count of one image, pooling and "
        "ReLU included); MACs are multiply-adds of one image; both count the zeros of a sparse network. params leave "
        "out batch norm's; of a sparse network they are the non-zero ones. file is the length of the packed file, "
        "everything in it included, 1 kB = 1,000 bytes; smaller: the parameters of the network before compression at "
        "4 bytes each, over that length.",
    )
