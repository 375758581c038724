"""Every row in one table: each benchmark in a process of its own, one after the other.

    .venv/bin/python -m bench --runs 5

Exit status 1 if a benchmark failed; a row that is short is no failure.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from bench.rows import RESULTS, machine, table

#: In the order of the rows that they give.
BENCHMARKS = (
    "ingest", "small", "volume", "encoding", "features", "inference", "nnunet", "settled", "completion", "first",
    "memory", "replay", "growth",
)  # fmt: skip

#: Columns of a row but the first and the last.
_BETWEEN = 5


def main() -> int:
    """Run them and print the table; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], help="only these benchmarks")
    parser.add_argument("--runs", type=int, default=5, help="alternating runs, after one that warms up")
    parser.add_argument("--append", action="store_true", help=f"also to {RESULTS.name}")
    arguments = parser.parse_args()
    before, head = machine(), table(())
    print(head, flush=True)
    rows, failed = [], False
    for name in arguments.names or BENCHMARKS:
        for row in _measured(name, arguments.runs):
            print(row, flush=True)
            rows.append(row)
            failed = failed or _verdict(row).startswith("failed")
    verdicts = Counter(_verdict(row).strip("*").partition(":")[0] for row in rows)
    print(", ".join(f"{count} {verdict}" for verdict, count in verdicts.items()), file=sys.stderr)
    if arguments.append:
        lines = "\n".join([head, *rows])
        with RESULTS.open("a", encoding="utf-8") as results:
            results.write(f"\n## All rows, {datetime.now(UTC).date()}\n\n")
            results.write(f"`python -m bench {' '.join(sys.argv[1:])}`, {before}.\n\n{lines}\n")
    return int(failed)


def _measured(name: str, runs: int) -> Iterator[str]:
    """Rows of one benchmark; one that says why there are none where it fails."""
    print(f"{name}…", end=" ", file=sys.stderr, flush=True)
    begun = time.monotonic()
    command = [sys.executable, "-m", f"bench.{name}", "--runs", str(runs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(f"{time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    rows = _rows(done.stdout)
    yield from rows
    if done.returncode or not rows:
        said = (done.stderr.strip() or "it printed no row").splitlines()[-1]
        yield _failure(name, said if done.returncode else "it printed no row")


def _rows(printed: str) -> Sequence[str]:
    """The lines of a printed table below its head."""
    lines = [line for line in printed.splitlines() if line.startswith("| ")]
    return lines[len(table(()).splitlines()) :]


def _failure(name: str, reason: str) -> str:
    cells = (name, *[""] * _BETWEEN, f"failed: {reason.replace('|', '/')}")
    return f"| {' | '.join(cells)} |"


def _verdict(row: str) -> str:
    return row.removesuffix(" |").rpartition("| ")[2]


if __name__ == "__main__":
    sys.exit(main())
