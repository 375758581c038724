"""Reads a written parametric map back by another way than it was made and holds it against its volume."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import numpy as np
from highdicom import Volume
from numpy.typing import NDArray
from pydicom import Dataset, dcmread

from dicomnode.domain.code import Code
from dicomnode.domain.errors import EncodingError
from dicomnode.domain.finding import Findings
from dicomnode.report.boundary import encoding
from dicomnode.report.check import deviation_mm
from dicomnode.report.contour_check import covered

#: Positions are written with ten digits or more, so anything beyond this is an error and not rounding.
_TOLERANCE_MM = 0.01

#: Of a step of the stored values: half of one by rounding, and some of the last bit of float32.
_TOLERANCE_STEPS = 0.51


def verify(encoded: bytes, volume: Volume, concept: Code, findings: Findings, *, slope: float = 1.0) -> None:
    """Compare a map, frame by frame from its own positions and stored values, with the volume that it should show.

    Parameters
    ----------
    encoded
        The complete file.
    volume
        What was written, on the grid of the source volume.
    concept
        The quantity that it should name.
    slope
        What one step of the volume's numbers is worth.

    Raises
    ------
    EncodingError
        For another frame of reference, quantity, grid, place or value; and for a file that cannot be read.
    """
    slack_mm = deviation_mm(findings) + _TOLERANCE_MM
    with encoding("parametric map read back"):
        written = dcmread(BytesIO(encoded))
        needed = str(findings.source.datasets[0].FrameOfReferenceUID)
        if str(written.FrameOfReferenceUID) != needed:
            raise EncodingError(f"map: found frame of reference {written.FrameOfReferenceUID}, needed {needed}")
        shared = written.SharedFunctionalGroupsSequence[0]
        mapping = shared.RealWorldValueMappingSequence[0]
        _check_quantity(mapping, concept)
        _check_planes(written, volume, findings, slack_mm)
        frames, step = _frames(written, mapping)
        for index, found in zip(_order(written, volume), frames, strict=True):
            needed_values = covered(volume.array, findings.source.tilt, index) * np.float64(slope)
            off = float(np.abs(found - needed_values).max())
            if off > _TOLERANCE_STEPS * step:
                raise EncodingError(f"map: found a value {off:.4g} off in frame {index + 1}, needed {step / 2:.4g}")


def _check_quantity(mapping: Dataset, concept: Code) -> None:
    named = [item.ConceptCodeSequence[0] for item in mapping.QuantityDefinitionSequence]
    found = {(str(code.CodingSchemeDesignator), str(code.CodeValue)) for code in named}
    if found != {(concept.scheme, concept.value)}:
        raise EncodingError(f"map: found quantity {sorted(found)}, needed {concept}")


def _check_planes(written: Dataset, volume: Volume, findings: Findings, slack_mm: float) -> None:
    """Every corner of every frame lies where the volume has it."""
    shared = written.SharedFunctionalGroupsSequence[0]
    cosines = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, dtype=float)
    row_mm, column_mm = (float(spacing) for spacing in shared.PixelMeasuresSequence[0].PixelSpacing)
    frames, tilt = written.PerFrameFunctionalGroupsSequence, findings.source.tilt
    shape = tilt.shape if tilt else volume.spatial_shape[1:]
    if (len(frames), written.Rows, written.Columns) != (len(findings.source.planes), *shape):
        raise EncodingError(
            f"map: found {len(frames)} frames of {written.Rows} x {written.Columns}, needed "
            f"{len(findings.source.planes)} of {shape[0]} x {shape[1]}"
        )
    corners = np.array([(i, j) for i in (0, shape[0] - 1) for j in (0, shape[1] - 1)])
    affine = np.asarray(volume.affine)
    for index, frame in zip(_order(written, volume), frames, strict=True):
        place = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
        found = place + corners @ np.stack([cosines[3:] * row_mm, cosines[:3] * column_mm])
        start = np.array(tilt.starts[index] if tilt else (0.0, 0.0))
        wanted = affine[:3, 3] + index * affine[:3, 0] + (corners + start) @ affine[:3, [1, 2]].T
        off_mm = float(np.abs(found - wanted).max())
        if off_mm > slack_mm:
            raise EncodingError(f"map: found frame {index + 1} {off_mm:.2f} mm off, needed at most {slack_mm:.2f} mm")


def _order(written: Dataset, volume: Volume) -> list[int]:
    """For every frame the index of the slice that is nearest along the stack."""
    step = np.asarray(volume.affine)[:3, 0]
    frames = written.PerFrameFunctionalGroupsSequence
    places = np.array([frame.PlanePositionSequence[0].ImagePositionPatient for frame in frames], dtype=float)
    depths = (places - np.asarray(volume.affine)[:3, 3]) @ step / (step @ step)
    order: list[int] = np.rint(depths).astype(int).tolist()
    if sorted(order) != list(range(len(volume.array))):
        raise EncodingError(f"map: found frames of slices {sorted(order)}, needed each of {len(volume.array)} once")
    return order


def _frames(written: Dataset, mapping: Dataset) -> tuple[Iterator[NDArray[np.float64]], float]:
    """Real world values of frame after frame, and the least step between two of them (0 for floats)."""
    shape = (int(written.NumberOfFrames), int(written.Rows), int(written.Columns))
    slope, intercept = float(mapping.RealWorldValueSlope), float(mapping.RealWorldValueIntercept)
    stored: NDArray[Any]
    if "FloatPixelData" in written:
        stored, step = np.frombuffer(written.FloatPixelData, dtype="<f4"), 0.0
    else:
        stored, step = np.frombuffer(written.PixelData, dtype="<u2"), slope
    pixels = stored[: shape[0] * shape[1] * shape[2]].reshape(shape)
    return (frame * np.float64(slope) + intercept for frame in pixels), step
