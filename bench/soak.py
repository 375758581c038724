"""Load, many studies, and a million instances against the limits that are promised for them.

    .venv/bin/python -m bench.soak --seconds 60 --associations 64 --studies 1000 --instances 1000000

Prints each figure with its limit and whether it is met; exit status 1 if one is not.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.torture.crowd import crowd
from tests.torture.million import compare
from tests.torture.procession import procession

#: Issue 6, "Shows": resident memory after the first 100 studies, and a C-STORE at a million instances.
MOST_GROWTH, MOST_RATIO = 0.05, 1.2

#: What a question of the loops may take with all those rows, which they ask up to five times a second.
MOST_SECONDS = 0.02

PARTS = ("crowd", "procession", "million")


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table."""

    what: str
    found: float
    limit: float
    form: Callable[[float], str]

    @property
    def met(self) -> bool:
        """Whether the limit holds."""
        return self.found <= self.limit

    def __str__(self) -> str:
        verdict = "met" if self.met else "SHORT"
        return f"{self.what:<58}{self.form(self.found):>12}{self.form(self.limit):>12}  {verdict}"


def main() -> int:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--part", choices=PARTS, action="append", help="only this; may be repeated")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--associations", type=int, default=64)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--instances", type=int, default=1_000_000)
    options = parser.parse_args()
    made = {
        "crowd": lambda folder: _crowd(folder, options.associations, options.seconds),
        "procession": lambda folder: _procession(folder, options.studies),
        "million": lambda folder: _million(folder, options.instances),
    }
    print(f"{'':<58}{'found':>12}{'limit':>12}")
    met = True
    for part in options.part or PARTS:
        with TemporaryDirectory(prefix=f"soak-{part}-") as folder:
            for figure in made[part](Path(folder)):
                print(figure, flush=True)
                met = met and figure.met
    return 0 if met else 1


def _crowd(folder: Path, associations: int, seconds: float) -> list[Figure]:
    found = crowd(folder, associations=associations, seconds=seconds)
    print(
        f"{associations} associations for {seconds:g} s: {found.acknowledged} objects acknowledged,"
        f" {found.per_second:.0f}/s, receive {found.early_mib:.1f} → {found.late_mib:.1f} MiB"
    )
    return [
        Figure("acknowledged objects that are lost", found.lost, 0, "{:.0f}".format),
        Figure("objects or associations refused", found.refused, 0, "{:.0f}".format),
        Figure("longest wait for an answer, s", found.longest_answer_seconds, 30.0, "{:.2f}".format),
        Figure("growth of the receiving process", found.growth, MOST_GROWTH, "{:+.1%}".format),
    ]


def _procession(folder: Path, studies: int) -> list[Figure]:
    found = procession(folder, studies=studies, warm=min(100, studies // 2))
    print(f"{studies} studies one after the other: {found.delivered} results, {found.per_minute:.0f} studies/min")
    return [
        Figure("results missing or too many", abs(found.delivered - 2 * studies), 0, "{:.0f}".format),
        *(
            Figure(
                f"growth of {role} from {found.early_mib[role]:.1f} MiB after {found.warm} studies",
                found.growth(role), MOST_GROWTH, "{:+.1%}".format,
            )
            for role in found.early_mib
        ),
    ]  # fmt: skip


def _million(folder: Path, instances: int) -> list[Figure]:
    found = compare(folder, many=instances)
    few, many = found.pop("C-STORE")
    print(f"a C-STORE at 1000 and at {instances} instances: {1000 * few:.2f} and {1000 * many:.2f} ms")
    return [
        Figure("ratio of C-STORE times", many / few, MOST_RATIO, "{:.2f}".format),
        *(
            Figure(f"{name} at {instances} instances (at 1000: {1000 * one:.2f} ms), s", all_of_them, MOST_SECONDS,
                   "{:.4f}".format)
            for name, (one, all_of_them) in found.items()
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
