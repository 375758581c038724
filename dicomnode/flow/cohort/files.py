"""The studies in many files one after the other, so that the headers of one alone are in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pydicom import dcmread

from dicomnode.domain.study import Study
from dicomnode.flow.offline import files_below, studies_in
from dicomnode.infer.read.faults import READ_FAULTS

Progress = Callable[[str, int, int], None]


def studies_below(paths: Iterable[Path], tell: Callable[[str], None], progress: Progress) -> Iterator[Study]:
    """The studies that these files belong to, however they are spread over folders, by Study Instance UID.

    Parameters
    ----------
    tell
        Told in words which files were left out.
    progress
        Told the stage, files done and files in all.
    """
    files = list(files_below(paths))
    found: dict[str, list[Path]] = {}
    for number, path in enumerate(files, start=1):
        found.setdefault(_study_of(path), []).append(path)
        progress("sort", number, len(files))
    done = 0
    for uid in sorted(found):
        studies, left_out = studies_in(found[uid])
        for text in left_out:
            tell(text)
        done += len(found[uid])
        progress("read", done, len(files))
        yield from studies


def _study_of(path: Path) -> str:
    """Study Instance UID of a file, "" where there is none."""
    try:
        ds = dcmread(path, specific_tags=["StudyInstanceUID"], stop_before_pixels=True)
        return str(ds.get("StudyInstanceUID", ""))
    except READ_FAULTS:
        return ""
