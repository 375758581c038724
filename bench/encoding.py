"""Encoding of SEG and report against highdicom used plainly, each from findings to the bytes of a file."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial

from pydicom import Dataset

from bench import plainly
from bench.findings import found_on, provenance, uids
from bench.rows import Row, alternating, main, times_faster
from dicomnode.domain.finding import Findings
from dicomnode.report import check, measurements, report_check, segmentation
from dicomnode.report.encode import to_bytes
from dicomnode.report.extent import extent_of

#: Time by the clock is what counts; on a busy machine that of the processor says more.
_CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}


def measure(arguments: argparse.Namespace) -> Sequence[Row]:
    """SEG (BINARY) alone, report alone, both, and both as a job makes them: read back and held against the findings.

    highdicom gets the same mask and measurements on the same headers. The SEG to which a report alone refers is made
    before the clock runs.
    """
    findings = found_on((arguments.slices, arguments.size, arguments.size))
    library = [findings.source.datasets[index] for index in measurements.key_slices(findings, extent_of(findings))]
    mask, plain_mask = _seg(findings)[0], plainly.segmentation(findings)

    def both_plainly() -> None:
        seg = plainly.segmentation(findings)
        plainly.to_bytes(seg)
        plainly.to_bytes(plainly.report(findings, seg, library))

    ways: dict[str, Callable[[], object]] = {
        "SEG": lambda: _seg(findings),
        "SEG, plain": lambda: plainly.to_bytes(plainly.segmentation(findings)),
        "SR": lambda: _sr(findings, mask),
        "SR, plain": lambda: plainly.to_bytes(plainly.report(findings, plain_mask, library)),
        "both": lambda: _both(findings),
        "both, plain": both_plainly,
        "checked": lambda: _checked(findings),
    }
    clock = _CLOCKS[arguments.clock]
    found = alternating({name: partial(_seconds, way, clock) for name, way in ways.items()}, arguments.runs)
    what = f"{arguments.slices} × {arguments.size} × {arguments.size}, two segments"
    return [
        _row(f"SEG (BINARY), {what}", found["SEG"], found["SEG, plain"]),
        _row("SR (TID 1500)", found["SR"], found["SR, plain"]),
        _row("SEG + SR encoding", found["both"], found["both, plain"], limit=1.0, aim=3.0),
        _row("SEG + SR, each read back and compared, against neither", found["checked"], found["both, plain"]),
    ]


def _row(
    name: str, ours: Sequence[float], theirs: Sequence[float], *, limit: float | None = None, aim: float | None = None
) -> Row:
    ratio = times_faster(ours, theirs)
    return Row(name=name, ours=ours, theirs=theirs, peer="highdicom", ratio=ratio, limit=limit, aim=aim)


def _seconds(way: Callable[[], object], clock: Callable[[], float]) -> float:
    start = clock()
    way()
    return clock() - start


def _seg(findings: Findings) -> tuple[Dataset, bytes]:
    dataset = segmentation.write(findings, provenance(), uids())
    if dataset is None:
        raise ValueError("findings: found an empty mask, needed voxels")
    return dataset, to_bytes(dataset)


def _sr(findings: Findings, mask: Dataset) -> bytes:
    return to_bytes(measurements.write(findings, provenance(), uids(), mask))


def _both(findings: Findings) -> tuple[bytes, bytes]:
    mask, seg = _seg(findings)
    return seg, _sr(findings, mask)


def _checked(findings: Findings) -> None:
    seg, report = _both(findings)
    check.verify(seg, findings)
    report_check.verify(report, findings.source.datasets, findings)


if __name__ == "__main__":
    sys.exit(
        main(
            "SEG + SR encoding",
            measure,
            ("--slices", int, 300),
            ("--size", int, 512),
            ("--clock", str, "wall"),
        )
    )
