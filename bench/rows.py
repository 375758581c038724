"""A row of a benchmark: what was measured in turns, against whom, and whether it is enough."""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")

#: What the figures depend on besides the machine.
PACKAGES = (
    "numpy", "SimpleITK", "pydicom", "pynetdicom", "highdicom", "pyradiomics", "onnxruntime-gpu",
)  # fmt: skip

_HEAD = ("row", "ours", "peer", "ratio", "at least", "aim", "verdict")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table.

    Attributes
    ----------
    name
        What was measured.
    ours, theirs
        A figure for each run, in the order in which they took turns; `theirs` is empty where nobody is compared.
    peer
        Whose `theirs` are, "" for nobody.
    unit
        Of the figures.
    ratio
        What is judged, made of the medians: `faster` and `slower` make one of seconds.
    limit, aim
        What the ratio has to reach, and what we would like; None: it is only told.
    at_most
        Whether the ratio must not exceed the limit, rather than reach it.
    remark
        What a reader has to know of it.
    """

    name: str
    ours: Sequence[float]
    theirs: Sequence[float] = ()
    peer: str = ""
    unit: str = "s"
    ratio: float
    limit: float | None
    aim: float | None = None
    at_most: bool = False
    remark: str = ""

    @property
    def verdict(self) -> str:
        """`met` or `short`, "told" for a row without a limit."""
        if self.limit is None:
            return "told"
        enough = self.ratio <= self.limit if self.at_most else self.ratio >= self.limit
        return "met" if enough else "**short**"

    def cells(self) -> tuple[str, ...]:
        """As a line of the table."""
        sign = "≤ " if self.at_most else ""
        told = (f"{sign}{each:g}" if each is not None else "" for each in (self.limit, self.aim))
        name = f"{self.name} ({self.remark})" if self.remark else self.name
        theirs = f"{self.peer}: {spread(self.theirs, self.unit)}" if self.theirs else ""
        return name, spread(self.ours, self.unit), theirs, f"{self.ratio:.3g}", *told, self.verdict


def spread(figures: Sequence[float], unit: str) -> str:
    """Median (least to most)."""
    if len(figures) == 1:
        return f"{figures[0]:.3g} {unit}"
    return f"{statistics.median(figures):.3g} ({min(figures):.3g} to {max(figures):.3g}) {unit}"


def times_faster(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """How many times the peer's median seconds ours fit into."""
    return statistics.median(theirs) / statistics.median(ours)


def share_of(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Our median over the peer's."""
    return statistics.median(ours) / statistics.median(theirs)


def alternating(ways: Mapping[str, Callable[[], float]], runs: int, *, warm: bool = True) -> dict[str, list[float]]:
    """The figures of each way; they take turns, so that what else the machine does falls on all.

    A turn before is for warming up. A way returns its own figure, since only it knows where what counts begins.
    """
    found: dict[str, list[float]] = {name: [] for name in ways}
    for run in range(-warm, runs):
        for name, way in ways.items():
            figure = way()
            if run >= 0:
                found[name].append(figure)
    return found


def table(rows: Iterable[Row]) -> str:
    """In Markdown."""
    lines = [_HEAD, ("---",) * len(_HEAD), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def machine() -> str:
    """What ran, how busy it was, and which versions."""
    names = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(
        (line.partition(":")[2].strip() for line in names if line.startswith("model name")), platform.machine()
    )
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    return f"{model}, {os.cpu_count()} cores, load {load}; Python {platform.python_version()}, {versions}"


def main(what: str, measure: Callable[[argparse.Namespace], Sequence[Row]], *options: tuple[str, type, object]) -> int:
    """The command of a benchmark: measure, print, and with `--append` keep the table in RESULTS.md.

    Parameters
    ----------
    what
        Title of the table.
    measure
        Makes its rows; gets `runs` and the further options.
    options
        Name, type and default of each.
    """
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--runs", type=int, default=5, help="alternating runs, after one that warms up")
    parser.add_argument("--append", action="store_true", help=f"also to {RESULTS.name}")
    for name, kind, default in options:
        parser.add_argument(name, type=kind, default=default)
    arguments = parser.parse_args()
    before = machine()
    text = table(measure(arguments))
    print(text)
    if arguments.append:
        asked = [one for one in sys.argv[1:] if one != "--append"]
        command = " ".join(["python -m", f"bench.{Path(sys.argv[0]).stem}", *asked])
        today = datetime.now(UTC).date()
        with RESULTS.open("a", encoding="utf-8") as results:
            results.write(f"\n## {what}, {today}\n\n`{command}`, {before}.\n\n{text}\n")
    return 0
