"""Torments a node and prints what became of it; exit status 1 when anything was lost, doubled or wrong."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from tests.torture.audit import Findings
from tests.torture.ordeal import Ordeal

#: So many faults are told.
_MOST_FAULTS = 20


def main() -> int:
    """Run one ordeal."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--torments", type=int, default=20)
    parser.add_argument("--seed", type=int, default=20261121)
    archive = "orthanc" if shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin:/usr/bin") else "counting"
    parser.add_argument("--archive", choices=("orthanc", "counting"), default=archive)
    parser.add_argument("--log", type=Path, help="where to keep the node's log")
    options = parser.parse_args()
    began = monotonic()
    with TemporaryDirectory(prefix="torture-") as folder:
        ordeal = Ordeal(Path(folder), options.seed, options.archive)
        try:
            found = ordeal.run(options.torments)
        finally:
            if options.log:
                options.log.write_text(ordeal.node.text())
    print(table(ordeal, found, options.seed, options.archive, monotonic() - began))  # noqa: T201
    return 1 if found.faults else 0


def table(ordeal: Ordeal, found: Findings, seed: int, archive: str, seconds: float) -> str:
    """What was done and what was found."""
    rows = [("seed", seed), ("archive", archive), ("seconds", round(seconds)), *sorted(ordeal.done.items())]
    rows += [
        ("studies", found.studies),
        ("objects acknowledged", found.acknowledged),
        ("objects lost", len(found.lost)),
        ("results in the archive", found.results),
        ("results missing", len(found.missing)),
        ("results doubled", len(found.doubled)),
        ("same result offered again", found.repeated),
        ("otherwise wrong", len(found.other)),
    ]
    lines = [f"{name:<28}{value:>12}" for name, value in rows]
    return "\n".join([*lines, *found.faults[:_MOST_FAULTS]])


if __name__ == "__main__":
    sys.exit(main())
