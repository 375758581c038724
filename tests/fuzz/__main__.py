"""Feeds targets with numbered inputs in processes of their own, so that a crash of a codec is found and told."""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import traceback
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from tests.fuzz.targets import TARGETS, Runner

#: An input that takes longer has hung. The slowest of 100 000 took 0.4 s where this was measured.
INPUT_SECONDS = 20

#: Address space of a process: what the libraries map (about 2 GiB), and room for one input.
MEMORY_BYTES = 6 << 30

#: How much is told of a finding.
STORY_LINES = 16

#: So many findings of a target are told; more would be the same ones.
MOST_FINDINGS = 20


def main() -> int:
    """Run targets; 0 when nothing was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=2000, help="for each target")
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--seed", type=int, default=20261121)
    parser.add_argument("--target", choices=sorted(TARGETS), action="append")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    targets = options.target or sorted(TARGETS)
    if options.child:
        return _child(targets[0], options.first, options.inputs, options.seed)
    print(f"seed {options.seed}, {options.inputs} inputs for each of: {', '.join(targets)}")  # noqa: T201
    found = sum(_target(name, options.first, options.inputs, options.seed) for name in targets)
    return 1 if found else 0


def _target(name: str, first: int, count: int, seed: int) -> int:
    """Number of findings; after each, a new process goes on with the next input."""
    begun, number, end, findings = monotonic(), first, first + count, 0
    while number < end and findings < MOST_FINDINGS:
        command = [sys.executable, "-m", "tests.fuzz", "--child", "--target", name, "--seed", str(seed)]
        command += ["--first", str(number), "--inputs", str(end - number)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        lines = done.stdout.splitlines()
        last = next((int(line.split()[1]) for line in reversed(lines) if line.startswith("at ")), number)
        if done.returncode == 0:
            break
        findings += 1
        end_of_story = "\n".join(line[:200] for line in (done.stderr or done.stdout).splitlines()[-STORY_LINES:])
        print(f"{name}: input {last} (--first {last} --inputs 1), status {done.returncode}\n{end_of_story}")  # noqa: T201
        number = last + 1
    seconds = monotonic() - begun
    print(f"{name}: {count} inputs in {seconds:.0f} s, {findings} findings")  # noqa: T201
    return findings


def _child(name: str, first: int, count: int, seed: int) -> int:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    with TemporaryDirectory() as folder:
        status = 1
        try:
            Runner(name, Path(folder), seed, INPUT_SECONDS, told=sys.stdout).run(first, count)
            status = 0
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            # Threads that outlive the target must not keep the process.
            os._exit(status)


if __name__ == "__main__":
    sys.exit(main())
